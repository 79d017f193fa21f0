"""Files that only some users may see, with django-sendfile2."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponseForbidden
from django.urls import path
from django_sendfile import utils

FILES = "{root}/films"
settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="for this test only",
    SENDFILE_BACKEND="django_sendfile.backends.xsendfile",
    SENDFILE_ROOT=FILES,
    SENDFILE_URL="/protected",
)


def film(request, backend, name):
    if request.GET.get("user") != "friend":
        return HttpResponseForbidden("only for friends")
    # Projects have one back end for all requests; this has both.
    utils._get_sendfile = lambda: import_module(f"django_sendfile.backends.{backend}").sendfile
    return utils.sendfile(request, os.path.join(FILES, name), attachment=True)


urlpatterns = [path("film/<str:backend>/<str:name>", film)]
application = get_wsgi_application()
