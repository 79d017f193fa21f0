"""The compiled parts: the Apache module, the supervisor and the command. In INSTALLED_APPS the old name of
``mod_wsgi.express``."""

import warnings

warnings.warn("mod_wsgi.server in INSTALLED_APPS is the old name: use mod_wsgi.express.", FutureWarning, stacklevel=2)
