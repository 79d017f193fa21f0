import sys

# The directory of the mod_wsgi package beside the Apache module, for interpreters that have none of their own; may be
# empty.
fallback = sys.argv.pop()
sys.path[:] = [directory for directory in sys.path if directory]  # "" would be the working directory
try:
    from mod_wsgi import _daemon, _engine
except ImportError as missing:
    # None here, or another product of the same name. From the fall-back comes this one package only: its neighbours
    # there belong to another interpreter.
    from importlib.util import module_from_spec, spec_from_file_location

    for name in [name for name in sys.modules if name.partition(".")[0] == "mod_wsgi"]:
        del sys.modules[name]
    package = fallback + "/mod_wsgi"
    spec = spec_from_file_location("mod_wsgi", package + "/__init__.py", submodule_search_locations=[package])
    try:
        if not fallback:
            raise
        sys.modules["mod_wsgi"] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules["mod_wsgi"])
        from mod_wsgi import _daemon, _engine
    except (ImportError, OSError) as reason:
        version = "%d.%d.%d" % sys.version_info[:3]
        from sysconfig import get_config_var

        if get_config_var("Py_GIL_DISABLED"):
            sys.stderr.write(
                f"mod_wsgi does not run in {sys.executable} (Python {version}), which is a free-threaded build: name a python-home with the usual build\n"
            )
            sys.exit(3)
        # Spelt out, these words on a command line would make pyenv wrap this process in another.
        cure = " ".join([sys.executable, "-m", "pip", "install", "mod-wsgi-rust"])
        sys.stderr.write(f"mod_wsgi cannot be imported by {sys.executable} (Python {version}): {reason}; install it there with '{cure}'\n")
        sys.exit(3)
_daemon.main()
