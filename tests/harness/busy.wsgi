"""Notes each execution in a file, by what the query string calls it, and the process that executes it."""

import os
import time

time.sleep({import})
notes = os.open(os.path.join(os.path.dirname(__file__), "executions"), os.O_WRONLY | os.O_APPEND)


def application(environ, start_response):
    # A single write to a file that is open for appending is never torn.
    os.write(notes, f"{environ['QUERY_STRING']} {os.getpid()}\n".encode())
    time.sleep({"/slow": 2, "/brief": 0.005}.get(environ["PATH_INFO"], 0))
    length = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {length}".encode()]
