"""A page of Django's as many sites have it: a query, and a template with a loop over what that finds.

`python3 page.py SECONDS` makes it for so long without any server, and tells the CPU time of one in microseconds, and
how many that were in a second.
"""
import sys
import time

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.template import Context, Engine
from django.urls import path

import page_database

TEMPLATE = Engine().from_string("""<!doctype html><title>{{ title }}</title><h1>{{ title|upper }}</h1><table>
{% for number, name, price in rows %}<tr class="{% cycle 'odd' 'even' %}"><td>{{ number }}<td>{{ name }}<td>{{ price|floatformat:2 }}</tr>
{% empty %}<tr><td>Nothing{% endfor %}</table>""")


def goods(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT number, name, price FROM goods WHERE number % 10 = %s ORDER BY name", [3])
        rows = cursor.fetchall()
    return HttpResponse(TEMPLATE.render(Context({"title": "Goods & more", "rows": rows})))


urlpatterns = [path("page", goods)]
settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a benchmark",
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware",
                "django.middleware.clickjacking.XFrameOptionsMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"file:{page_database.FILE}?mode=ro&immutable=1",
                           "OPTIONS": {"uri": True}, "CONN_MAX_AGE": None}})
django.setup()
application = get_wsgi_application()

if __name__ == "__main__":
    from wsgiref.util import setup_testing_defaults
    environ = {"PATH_INFO": "/page", "REQUEST_METHOD": "GET"}
    setup_testing_defaults(environ)

    def make(seconds):
        begun, cpu, count = time.monotonic(), time.process_time(), 0
        while time.monotonic() - begun < seconds:
            response = application(dict(environ), lambda status, headers: None)
            b"".join(response)
            response.close()
            count += 1
        return (time.process_time() - cpu) / count * 1e6, count / (time.monotonic() - begun)

    make(0.2)
    print(*make(float(sys.argv[1])))
