"""What the interpreter of a daemon process runs: the engine, until the process is to end."""

import sys


def main():
    """Serve requests until the supervisor or a signal says stop; then return, so that the interpreter ends as usual and
    runs atexit functions."""
    sys.argv[:] = ["mod_wsgi"]
    from mod_wsgi import _engine

    _engine.run()
