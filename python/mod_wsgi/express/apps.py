"""As a Django application, this package brings the command runmodwsgi."""

from django.apps import AppConfig


class ExpressConfig(AppConfig):
    """``mod_wsgi.express`` in INSTALLED_APPS."""

    name = "mod_wsgi.express"
    label = "mod_wsgi_express"

    def ready(self):
        """Adds our checks to those of ``manage.py check``."""
        from mod_wsgi.express import checks  # noqa: F401
