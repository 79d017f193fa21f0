"""Every way in which an application can answer, and figures about what this interpreter holds."""

import collections
import gc
import io
import json
import os
import sys
import tempfile

import mod_wsgi

BLOCK = b"x" * 65536

file = tempfile.NamedTemporaryFile(prefix="wsgi-mixed-")
file.write(BLOCK * 4)
file.flush()


seen = collections.Counter()


def see(name, **event):
    seen[name] += 1
    if "request_id" in event:
        mod_wsgi.request_data()[name] = event


mod_wsgi.subscribe_events(see)
mod_wsgi.start_recording_metrics()


class Blocks:
    """Blocks that have to be closed; it takes part in a reference cycle, as views and sessions of frameworks do."""

    def __init__(self, environ, blocks):
        self.environ, self.blocks = environ, iter(blocks)
        environ["mixed.blocks"] = self

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.blocks)

    def close(self):
        self.blocks = None


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def large(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [BLOCK * 8]


def pieces(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Blocks(environ, [BLOCK[:8192]] * 8)


def endless(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        for _ in range(4096):
            yield BLOCK
    finally:
        environ.clear()


def raises(environ, start_response):
    raise ValueError("before the head")


def raises_late(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield BLOCK
    raise ValueError("within the body")


class Stubborn(Blocks):
    def close(self):
        raise ValueError("while it is closed")


def raises_last(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Stubborn(environ, [b"hello"])


def hints(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    return hello(environ, start_response)


def measures(environ, start_response):
    own, all_requests = mod_wsgi.request_data(), dict(mod_wsgi.active_requests)
    body = repr([list(own), list(all_requests), mod_wsgi.process_metrics(), mod_wsgi.request_metrics()]).encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


def replaced(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("503 Sorry", [("Content-Type", "text/plain")], sys.exc_info())
    return [b"sorry"]


def written(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"hello")
    write(BLOCK)
    return [b"hello"]


def wrapped(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](open(file.name, "rb"))


def wrapped_object(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](io.BytesIO(BLOCK))


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(body)))])
    return [body]


def lines(environ, start_response):
    count = sum(len(line) for line in environ["wsgi.input"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(count).encode()]


def partly(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read(10)]


def headers(environ, start_response):
    own = [name for name in environ if name.startswith("HTTP_X_")]
    start_response("200 OK", [("Content-Type", "text/plain")] + [("Set-Cookie", f"{name}={environ[name]}") for name in own])
    return [str(len(own)).encode()]


def nothing(environ, start_response):
    start_response("204 No Content", [])
    return []


def unchanged(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"1"')])
    return []


def says(environ, start_response):
    print("a line, and", end=" ")
    print("another", file=environ["wsgi.errors"])
    print("one that goes to standard error", file=sys.stderr)
    return hello(environ, start_response)


def counts(names):
    return dict(collections.Counter(names).most_common(40))


def figures(environ, start_response):
    """What this interpreter holds. Two calls of this function in a row give the same."""
    gc.collect()
    references = {f"environ {name}": sys.getrefcount(name) for name in environ}
    for value in [None, True, False, (), b"", "", 0, 1, dict, str, bytes, tuple, type(start_response), start_response.__class__]:
        references[f"{value!r}"] = sys.getrefcount(value)
    for name in ["wsgi.input", "wsgi.errors", "wsgi.file_wrapper"]:
        references[f"type of {name}"] = sys.getrefcount(type(environ[name]))
    references["application"] = sys.getrefcount(application)
    body = {
        "pid": os.getpid(),
        "blocks": sys.getallocatedblocks(),
        "objects": counts(type(thing).__name__ for thing in gc.get_objects()),
        "references": references,
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


def application(environ, start_response):
    return globals()[environ["PATH_INFO"].strip("/")](environ, start_response)
