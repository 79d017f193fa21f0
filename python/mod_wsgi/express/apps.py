"""As a Django application, this package brings the command runmodwsgi."""

from django.apps import AppConfig


class ExpressConfig(AppConfig):
    """``mod_wsgi.express`` in INSTALLED_APPS."""

    name = "mod_wsgi.express"
    label = "mod_wsgi_express"
