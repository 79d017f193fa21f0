import sys

# The engine of this interpreter's own installation; without one, that of the package beside the Apache module.
fallback = bytes.fromhex("@package@").decode("utf-8", "surrogateescape")
try:
    from mod_wsgi import _engine
except ImportError:
    from sysconfig import get_config_var

    if get_config_var("Py_GIL_DISABLED"):
        raise ImportError("this is a free-threaded build of Python, for which mod_wsgi has no engine: set WSGIPythonHome to the usual build")
    if not fallback:
        raise
    from importlib.util import module_from_spec, spec_from_file_location

    for name in [name for name in sys.modules if name.partition(".")[0] == "mod_wsgi"]:
        del sys.modules[name]
    package = fallback + "/mod_wsgi"
    spec = spec_from_file_location("mod_wsgi", package + "/__init__.py", submodule_search_locations=[package])
    sys.modules["mod_wsgi"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["mod_wsgi"])
    from mod_wsgi import _engine
sys.argv = ["mod_wsgi"]
