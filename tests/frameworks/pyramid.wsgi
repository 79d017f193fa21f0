"""The common pages, with Pyramid."""

import warnings
from wsgiref.validate import validator

# Pyramid's own, about setuptools; not what is looked for here.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")

from pyramid.config import Configurator
from pyramid.response import Response


def hello(request):
    answer = Response(f"Hello, {request.matchdict['name']}!", content_type="text/plain", charset="utf-8")
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2")
    return answer


def echo(request):
    return Response(request.body, content_type="application/octet-stream")


def upload(request):
    file = request.POST["file"]
    return Response(json={"name": file.filename, "size": len(file.file.read()), "note": request.POST["note"]})


def stream(request):
    return Response(app_iter=(f"{n}\n".encode() for n in range(100)), content_type="text/plain")


with Configurator() as config:
    for view, pattern in [(hello, "/hello/{name}"), (echo, "/echo"), (upload, "/upload"), (stream, "/stream")]:
        config.add_route(view.__name__, pattern)
        config.add_view(view, route_name=view.__name__)
    application = validator(config.make_wsgi_app())
