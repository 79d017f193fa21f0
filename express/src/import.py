"""Imports the application's module as a daemon will. Arguments: module, callable, folders of the search path."""
import importlib
import os
import site
import sys
import traceback

_, name, attribute, *folders = sys.argv
ours, sys.path[0] = sys.path[0], os.getcwd()
known = list(sys.path)
for folder in folders:
    site.addsitedir(folder)
sys.path[:] = known[:1] + [p for p in sys.path if p not in known] + known[1:]
try:
    module = importlib.import_module(name)
    if not callable(getattr(module, attribute, None)):
        sys.exit(f"{module.__file__} has no callable {attribute!r}")
except SystemExit as e:
    print(e, file=sys.stderr)
    code = 1
except BaseException:
    traceback.print_exc()
    code = 1
else:
    code = 0
sys.stderr.flush()
os._exit(code)  # threads that the module has started would go on for ever
