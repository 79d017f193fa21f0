"""The application of the comparison, by the path of the URL."""
import pathlib
import sys

PIECE = b"y" * (16 << 10)
ROW = b"r" * 100
BIG = b"x" * (1 << 20)
FILES = pathlib.Path(__file__).resolve().parent.parent / "build" / "bench"


def application(environ, start_response):
    headers = [("Content-Type", "text/plain")]
    path = environ.get("PATH_INFO")
    if path == "/stream":
        start_response("200 OK", headers)
        return (PIECE for _ in range(64))
    if path == "/rows":
        start_response("200 OK", headers)
        return (ROW for _ in range(2000))
    if path == "/file":
        return file(environ, start_response)
    if path == "/page":
        return page(environ, start_response)
    if path == "/big":
        body = BIG
    elif path == "/echo":
        body = environ["wsgi.input"].read()
    else:
        body = b"Hello World!"
    start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
    return [body]


def file(environ, start_response):
    """100 MiB, in the way that the server has for files."""
    content = open(FILES / "large", "rb")
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(100 << 20))])
    if wrapper := environ.get("wsgi.file_wrapper"):
        return wrapper(content, 1 << 16)
    return iter(lambda: content.read(1 << 16), b"")


def page(environ, start_response):
    """Django's, which is only loaded where it is asked for."""
    if not (directory := str(pathlib.Path(__file__).parent)) in sys.path:
        sys.path.append(directory)
    from page import application
    return application(environ, start_response)
