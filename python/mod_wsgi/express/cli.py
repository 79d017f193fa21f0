"""The front of the command: tells the Rust program about this interpreter and becomes it."""

import json
import os
import sys

from .facts import PACKAGE, facts

COMMAND = PACKAGE / "server" / "mod_wsgi-express"


def become(*words):
    """Replace this process by the command with these arguments."""
    # What Python still keeps of its output would be lost.
    sys.stdout.flush()
    sys.stderr.flush()
    environment = {**os.environ, "MOD_WSGI_EXPRESS_FACTS": json.dumps(facts())}
    os.execve(COMMAND, ["mod_wsgi-express", *words], environment)


def start(*args):
    """``mod_wsgi-express start-server`` with these arguments. Does not return."""
    become("start-server", *args)


def main():
    """The console script."""
    become(*sys.argv[1:])


if __name__ == "__main__":
    main()
