"""The common pages, with Bottle."""

from wsgiref.validate import validator

import bottle

site = bottle.Bottle()


@site.get("/hello/<name>")
def hello(name):
    bottle.response.content_type = "text/plain; charset=utf-8"
    bottle.response.set_cookie("first", "1")
    bottle.response.set_cookie("second", "2")
    return f"Hello, {name}!"


@site.post("/echo")
def echo():
    bottle.response.content_type = "application/octet-stream"
    return bottle.request.body.read()


@site.post("/upload")
def upload():
    file = bottle.request.files["file"]
    return {"name": file.filename, "size": len(file.file.read()), "note": bottle.request.forms["note"]}


@site.get("/stream")
def stream():
    bottle.response.content_type = "text/plain"
    return (f"{n}\n" for n in range(100))


application = validator(site)
