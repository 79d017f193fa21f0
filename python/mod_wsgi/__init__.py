"""The package beside the Apache module. Inside a server, ``import mod_wsgi`` is the engine's built-in module instead,
which lends this package's path."""

import os
import sys

# Other distributions (mod_wsgi-telemetry) add sub-packages of their own. This is what pkgutil.extend_path finds for
# directories; to import that costs every process of the server ten milliseconds.
__path__ += [
    directory
    for directory in (os.path.join(entry, "mod_wsgi") for entry in sys.path if isinstance(entry, str) and entry)
    if directory not in __path__ and os.path.isdir(directory)
]
