"""Applications to try an installation with: ``mod_wsgi.diagnostics.hello`` and ``mod_wsgi.diagnostics.environ``."""
