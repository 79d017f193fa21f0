"""The command ``mod_wsgi-express`` and what its generated server runs. In INSTALLED_APPS it adds ``manage.py
runmodwsgi``."""
