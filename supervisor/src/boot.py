import sys

# The folder of the mod_wsgi package beside the Apache module, for interpreters that have none of their own; may be empty.
fallback = sys.argv.pop()
sys.path[:] = [folder for folder in sys.path if folder]  # "" would be the working directory
try:
    from mod_wsgi import _daemon
except ImportError as missing:
    # None here, or another product of the same name.
    for name in [name for name in sys.modules if name.partition(".")[0] == "mod_wsgi"]:
        del sys.modules[name]
    sys.path.insert(0, fallback)
    try:
        if not fallback:
            raise
        from mod_wsgi import _daemon
    except ImportError as reason:
        version = "%d.%d.%d" % sys.version_info[:3]
        # Spelt out, these words on a command line would make pyenv wrap this process in another.
        cure = " ".join([sys.executable, "-m", "pip", "install", "mod-wsgi-rust"])
        sys.stderr.write(
            f"mod_wsgi cannot be imported by {sys.executable} (Python {version}): {reason}; install it there with '{cure}'\n"
        )
        sys.exit(3)
    # Last, so that what lies beside that package hides nothing of this interpreter's own.
    sys.path.append(sys.path.pop(0))
_daemon.main()
