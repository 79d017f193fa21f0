"""What the command needs to know of this interpreter, as JSON: ``python -m mod_wsgi.express.facts``."""

import json
import os
import pathlib
import sys
import sysconfig


#: The directory of the package mod_wsgi.
PACKAGE = pathlib.Path(__file__).resolve().parent.parent


def module_path():
    """Where the Apache module is installed: one that was built here is named after this interpreter, the wheel's is for
    all of them."""
    names = ["mod_wsgi-py%d%d" % sys.version_info[:2] + sysconfig.get_config_var("EXT_SUFFIX"), "mod_wsgi.abi3.so"]
    paths = [PACKAGE / "server" / name for name in names]
    return str(next((path for path in paths if path.exists()), paths[0]))


def extra_search_path():
    """The directory of the packages where the interpreter alone would not look for them: in a zipapp, or one that
    PYTHONPATH names."""
    directory = PACKAGE.parent
    return [] if any(directory.is_relative_to(prefix) for prefix in (sys.prefix, os.path.realpath(sys.prefix))) else [str(directory)]


def windows_dll():
    """The library that httpd loads on Windows before the module."""
    names = ["python%d%d.dll" % sys.version_info[:2], os.path.join("DLLs", "python3.dll")]
    found = (os.path.join(sys.base_prefix, name) for name in names)
    return next((path.replace("\\", "/") for path in found if os.path.exists(path)), None) if sys.platform == "win32" else None


def facts():
    """All of them, by name."""
    var = sysconfig.get_config_var
    return {
        "executable": sys.executable,
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "version": "%d.%d" % sys.version_info[:2],
        "soabi": var("SOABI"),
        "ext_suffix": var("EXT_SUFFIX"),
        "libdir": var("LIBDIR"),
        "ldlibrary": var("LDLIBRARY"),
        "with_dyld": bool(var("WITH_DYLD")),
        "gil_disabled": bool(var("Py_GIL_DISABLED")),
        "package": str(PACKAGE),
        "module": module_path(),
        "site_packages": extra_search_path(),
        "platform": sys.platform,
        "windows_dll": windows_dll(),
    }


if __name__ == "__main__":
    print(json.dumps(facts()))
