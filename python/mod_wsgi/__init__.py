"""The package beside the Apache module. Inside a server, ``import mod_wsgi`` is the engine's built-in module instead, which lends this package's path."""

import pkgutil

# Other distributions (mod_wsgi-telemetry) add sub-packages of their own.
__path__ = pkgutil.extend_path(__path__, __name__)
