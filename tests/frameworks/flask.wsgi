"""The common pages, with Flask. Not judged by `wsgiref.validate`, which does not allow Werkzeug's `read()` without a
size."""

import flask

site = flask.Flask(__name__)


@site.get("/hello/<name>")
def hello(name):
    answer = flask.Response(f"Hello, {name}!", content_type="text/plain; charset=utf-8")
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2")
    return answer


@site.post("/echo")
def echo():
    return flask.Response(flask.request.get_data(), content_type="application/octet-stream")


@site.post("/upload")
def upload():
    file = flask.request.files["file"]
    return {"name": file.filename, "size": len(file.read()), "note": flask.request.form["note"]}


@site.get("/stream")
def stream():
    return flask.Response((f"{n}\n" for n in range(100)), content_type="text/plain")


application = site
