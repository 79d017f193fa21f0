"""The command of ``mod_wsgi.express``, for projects that name ``mod_wsgi.server`` in INSTALLED_APPS."""

from mod_wsgi.express.management.commands.runmodwsgi import Command

__all__ = ["Command"]
