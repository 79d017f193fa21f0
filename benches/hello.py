"""The application of the comparison, by the path of the URL."""

PIECE = b"y" * (16 << 10)
BIG = b"x" * (1 << 20)


def application(environ, start_response):
    headers = [("Content-Type", "text/plain")]
    path = environ.get("PATH_INFO")
    if path == "/stream":
        start_response("200 OK", headers)
        return (PIECE for _ in range(64))
    if path == "/big":
        body = BIG
    elif path == "/echo":
        body = environ["wsgi.input"].read()
    else:
        body = b"Hello World!"
    start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
    return [body]
