"""What ``manage.py check`` and ``runmodwsgi`` say of a project that this server is to serve."""

import itertools
import os

from django.apps import apps
from django.conf import settings
from django.core.checks import Warning, register

from . import project

#: The most files that are looked for in STATIC_ROOT.
MOST_FILES = 500
#: Applications that speak protocols which only an ASGI server has.
NEED_ASGI = ("channels", "daphne")
#: The interface that runmodwsgi is about to serve; None in manage.py check.
served = None


@register("mod_wsgi")
def static_files(app_configs, **kwargs):
    """Whether Apache finds the static files."""
    if not apps.is_installed("django.contrib.staticfiles"):
        return []
    if project.written(settings, "STATIC_URL").strip() == "/":
        return [Warning(
            "STATIC_URL is the whole site, so that static files would take the place of the application: Apache does not serve them.",
            hint="Set STATIC_URL = 'static/'.", id="mod_wsgi.W004")]
    root = project.directory(settings, "STATIC_ROOT")
    by_whitenoise = project.uses_whitenoise(settings)
    if not project.place(settings, "STATIC_URL") or (by_whitenoise and settings.DEBUG):
        return []
    if not root:
        return [] if by_whitenoise else [Warning(
            "STATIC_ROOT is not set, so Apache has no static files to serve: the admin, for one, will have no style.",
            hint="Set STATIC_ROOT = BASE_DIR / 'static' and run manage.py collectstatic.", id="mod_wsgi.W001")]
    if holds_the_project(root):
        return [served_code("STATIC_ROOT", root)]
    return collected(root)


def collected(root):
    """Whether the files have been collected."""
    from django.contrib.staticfiles.storage import ManifestFilesMixin, StaticFilesStorage, staticfiles_storage

    try:
        is_local, has_manifest = isinstance(staticfiles_storage, StaticFilesStorage), isinstance(staticfiles_storage, ManifestFilesMixin)
    except Exception:
        return []  # Django's own checks say what is wrong with it
    if not is_local:
        return []
    if has_manifest and not settings.DEBUG and not staticfiles_storage.manifest_storage.exists(staticfiles_storage.manifest_name):
        return [Warning(
            f"{root} has no {staticfiles_storage.manifest_name}: each page that refers to a static file will fail.",
            hint="Run manage.py collectstatic.", id="mod_wsgi.W003")]
    missing = first_missing(root)
    if missing is None:
        return []
    return [Warning(
        f"Static files have not been collected: {missing} is not in STATIC_ROOT, {root}.",
        hint="Run manage.py collectstatic.", id="mod_wsgi.W002")]


def first_missing(root):
    """A static file of the project that is not below ``root``; None where all that are looked for are."""
    from django.contrib.staticfiles.finders import get_finders

    found = itertools.chain.from_iterable(finder.list(["CVS", ".*", "*~"]) for finder in get_finders())
    for path, storage in itertools.islice(found, MOST_FILES):
        path = os.path.join(getattr(storage, "prefix", None) or "", path)
        if not os.path.exists(os.path.join(root, path)):
            return path
    return None


def holds_the_project(root):
    """Whether a directory that is served has the project's code in it."""
    base = project.working_directory(settings)
    return bool(base) and os.path.commonpath([root, base]) == root


def served_code(name, root):
    """The warning about such a directory."""
    return Warning(
        f"{name}, {root}, has the project's own code in it, which would be served to everybody.",
        hint=f"Give {name} a directory of its own.", id="mod_wsgi.W005")


@register("mod_wsgi")
def media_files(app_configs, **kwargs):
    """Whether uploads are apart from the code."""
    files = project.media_files(settings)
    return [served_code("MEDIA_ROOT", files[1])] if files and holds_the_project(files[1]) else []


@register("mod_wsgi")
def application(app_configs, **kwargs):
    """Whether there is an application, and what of the project works by it."""
    asgi = getattr(settings, "ASGI_APPLICATION", None)
    if served == "asgi" or (asgi and not settings.WSGI_APPLICATION):
        return []
    needing = [name for name in NEED_ASGI if apps.is_installed(name)]
    if not settings.WSGI_APPLICATION:
        return [Warning(
            "WSGI_APPLICATION is not set, which is the application that this server runs.",
            hint="Set it to one that calls django.core.wsgi.get_wsgi_application(), as startproject makes it in wsgi.py: views and middleware "
                 "that are async work by it, too.", id="mod_wsgi.W006")]
    if not asgi and not needing:
        return []
    return [Warning(
        f"runmodwsgi serves WSGI_APPLICATION, and not {'ASGI_APPLICATION' if asgi else needing[0]}: async views and middleware work, WebSockets and "
        "connections that stay open for long do not.",
        hint="runmodwsgi --interface asgi serves the ASGI application, with its WebSockets.",
        id="mod_wsgi.W007")]


@register("mod_wsgi")
def hosts(app_configs, **kwargs):
    """Whether any request will be answered."""
    if settings.DEBUG or settings.ALLOWED_HOSTS:
        return []
    return [Warning(
        "ALLOWED_HOSTS is empty and DEBUG is off: every request will be answered 400.",
        hint="Name the site's host names in ALLOWED_HOSTS.", id="mod_wsgi.W008")]
