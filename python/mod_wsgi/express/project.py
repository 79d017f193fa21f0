"""What the settings of a Django project say of how it is to be served."""

import importlib
import importlib.util
import os
from urllib.parse import urlsplit

WHITENOISE = "whitenoise.middleware.WhiteNoiseMiddleware"


def working_directory(settings):
    """The directory of the project; None for settings that are in no module."""
    directory = getattr(settings, "BASE_DIR", None) or parent_of_package(getattr(settings, "SETTINGS_MODULE", None))
    return os.path.abspath(directory) if directory else None


def parent_of_package(name):
    """The directory from which a module with a dotted name is imported; None for settings that are in no module."""
    if not name:
        return None
    outermost = importlib.import_module(name.partition(".")[0])
    if hasattr(outermost, "__path__"):
        return os.path.dirname(next(iter(outermost.__path__)))
    return os.path.dirname(outermost.__file__)


def uses_whitenoise(settings):
    """Whether WhiteNoise, in the application, answers for static files."""
    return any(WHITENOISE in (getattr(settings, name, None) or ()) for name in ("MIDDLEWARE", "MIDDLEWARE_CLASSES"))


def written(settings, name):
    """A setting that is a URL, as it is written: of a relative one Django says what it is without a mount point."""
    return str(getattr(getattr(settings, "_wrapped", settings), name, None) or "")


def place(settings, name):
    """The path at which this server has to answer for a setting that is a URL, without a slash at its end; one without
    a slash at its beginning is below the mount point. None where another server answers, or for the whole site."""
    url = written(settings, name)
    scheme, host, path, _, _ = urlsplit(url)
    if scheme or host or not path.strip("/"):
        return None
    forced = getattr(settings, "FORCE_SCRIPT_NAME", None)
    if forced and not path.startswith("/"):
        path = f"{forced.rstrip('/')}/{path}"
    return path.rstrip("/")


def directory(settings, name):
    """A setting that is a directory, as an absolute path; None where it is not set."""
    value = getattr(settings, name, None)
    return os.path.abspath(value) if value else None


def static_files(settings):
    """URL and directory of the static files that Apache has to serve; None where WhiteNoise or another server does."""
    at, root = place(settings, "STATIC_URL"), directory(settings, "STATIC_ROOT")
    return (at, root) if at and root and not uses_whitenoise(settings) else None


def media_files(settings):
    """URL and directory of the uploads; None where there are none, or another server has them."""
    at, root = place(settings, "MEDIA_URL"), directory(settings, "MEDIA_ROOT")
    return (at, root) if at and root else None


def needs_asgi(settings):
    """What shows that a project is made for ASGI: ``ASGI_APPLICATION``, or an application that works by it alone; None
    where nothing does."""
    if getattr(settings, "ASGI_APPLICATION", None):
        return "ASGI_APPLICATION"
    return next((name for name in ("channels", "daphne") if name in (getattr(settings, "INSTALLED_APPS", None) or ())), None)


def asgi_application(settings):
    """The ASGI application that ``startproject`` makes beside the WSGI application, where it is still there."""
    package = (getattr(settings, "WSGI_APPLICATION", None) or "").rpartition(".")[0].rpartition(".")[0]
    if not package or importlib.util.find_spec(f"{package}.asgi") is None:
        return None
    return f"{package}.asgi.application"
