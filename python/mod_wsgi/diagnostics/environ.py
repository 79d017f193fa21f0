"""Shows where an application runs and what it is given. It tells everything, passwords in variables included: never
leave it on a public server."""

import locale
import os
import sys

import mod_wsgi


def section(title, facts):
    """Lines of names and values."""
    yield f"{title}\n"
    for name, value in facts:
        yield f"  {name}: {value!r}\n"
    yield "\n"


def report(environ):
    """Everything, piece by piece."""
    import apache

    yield from section("Process", [("pid", os.getpid()), ("uid", os.geteuid()), ("gid", os.getegid()), ("cwd", os.getcwd()),
                                   ("process group", mod_wsgi.process_group), ("application group", mod_wsgi.application_group)])
    yield from section("Versions", [("python", sys.version), ("apache", apache.version), ("mod_wsgi", mod_wsgi.version), ("mpm", apache.mpm_name)])
    yield from section("Capacity", [("processes", mod_wsgi.maximum_processes), ("threads per process", mod_wsgi.threads_per_process)])
    yield from section("Python", [("prefix", sys.prefix), ("path", sys.path), ("file system encoding", sys.getfilesystemencoding()),
                                  ("locale", locale.setlocale(locale.LC_ALL))])
    yield from section("Request", sorted(environ.items()))
    yield from section("Environment", sorted(os.environ.items()))


def application(environ, start_response):
    """The report, then the body of the request as it came."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    for text in report(environ):
        yield text.encode(errors="backslashreplace")
    while block := environ["wsgi.input"].read(65536):
        yield block
