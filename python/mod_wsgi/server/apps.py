"""As a Django application, this package brings the command runmodwsgi under its former name."""

from django.apps import AppConfig


class ServerConfig(AppConfig):
    """``mod_wsgi.server`` in INSTALLED_APPS."""

    name = "mod_wsgi.server"
    label = "mod_wsgi_server"

    def ready(self):
        """Adds our checks to those of ``manage.py check``."""
        from mod_wsgi.express import checks  # noqa: F401
