"""Imports the application's module as a daemon will. Arguments: module, callable, folders of the search path."""

import importlib
import os
import site
import sys
import traceback

ONLY_IN_A_DAEMON = ("mod_wsgi", "apache")  # what these have there is not to be had here

_, name, attribute, *folders = sys.argv
sys.path[0] = os.getcwd()
before = list(sys.path)
for folder in folders:
    site.addsitedir(folder)
added = [path for path in sys.path if path not in before]
sys.path[:] = before[:1] + added + before[1:]
try:
    module = importlib.import_module(name)
    code = 0 if callable(getattr(module, attribute, None)) else 1
    if code:
        print(f"{module.__file__} has no callable {attribute!r}", file=sys.stderr)
except BaseException as error:
    missed_in = (getattr(error, "name", None), getattr(getattr(error, "obj", None), "__name__", None))
    code = 0 if any(module in ONLY_IN_A_DAEMON for module in missed_in) else 1
    traceback.print_exc()
sys.stderr.flush()
os._exit(code)  # threads that the module has started would go on for ever
