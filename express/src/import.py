"""Imports the application's module as a daemon will. Arguments: module, callable, folders of the search path."""

import importlib
import os
import site
import sys
import traceback

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
except BaseException:
    traceback.print_exc()
    code = 1
sys.stderr.flush()
os._exit(code)  # threads that the module has started would go on for ever
