"""The common pages, with Django."""

from wsgiref.validate import validator

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="for this test only")


def hello(request, name):
    answer = HttpResponse(f"Hello, {name}!", content_type="text/plain; charset=utf-8")
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2")
    return answer


def echo(request):
    return HttpResponse(request.body, content_type="application/octet-stream")


def upload(request):
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "size": len(file.read()), "note": request.POST["note"]})


def stream(request):
    return StreamingHttpResponse((f"{n}\n" for n in range(100)), content_type="text/plain")


urlpatterns = [
    path("hello/<str:name>", hello),
    path("echo", echo),
    path("upload", upload),
    path("stream", stream),
]
application = validator(get_wsgi_application())
