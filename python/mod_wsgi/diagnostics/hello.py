"""The smallest application: a greeting."""


def application(_environ, start_response):
    """Greet."""
    text = b"Hello World!"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
