"""What the scripts of a generated server run: they load the user's application and pass every request on to it."""

import importlib
import os
import signal
import sys
import threading
import types

from . import reloader
from .interface import is_asgi, takes


def serve(settings):
    """``handle_request`` and ``reload_required`` of a script of the server, made from the settings written in it.

    A failure to load the application is raised: the server logs it, answers 500 and tries again at the next request.
    """
    os.environ.update(settings["environ"])
    if settings["reload_on_changes"]:
        # Before the application: once it runs, threads of its own may keep it from ever coming back.
        reloader.start_reloader()

    def load():
        if settings["resources"]:
            handler = ResourceHandler(settings["resources"])
            return handler.handle_request, handler.reload_required
        names = ("entry_point", "application_type", "callable_object", "mount_point")
        handler = ApplicationHandler(**{name: settings[name] for name in names})
        if interface_of(handler, settings["interface"]) == "asgi":
            return handler.asynchronous(), handler.source.required
        return handler.handle_request, handler.source.required

    if any(settings["tools"].values()):
        from . import debugging

        return debugging.watch(settings["tools"], load)
    return load()


def __getattr__(name):
    """The names of debug mode that scripts import from here; what they need is loaded only then."""
    if name in ("PostMortemDebugger", "RequestRecorder"):
        from . import debugging

        return getattr(debugging, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class ApplicationError(Exception):
    """What was named as the application is none."""


class ApplicationHandler:
    """The application behind the whole site."""

    def __init__(self, entry_point, application_type="script", callable_object="application", mount_point="/"):
        self.mount_point = "/".join(["", *filter(None, mount_point.split("/"))])
        self.application, self.source = LOADERS[application_type](entry_point, callable_object)

    def handle_request(self, environ, start_response):
        """The WSGI application that Apache knows."""
        locate(environ, self.mount_point)
        return self.application(environ, start_response)

    def asynchronous(self):
        """The ASGI application that Apache knows."""
        application, mount_point = self.application, self.mount_point

        async def handle_request(scope, receive, send):
            if scope["type"] != "lifespan":
                locate_scope(scope, mount_point)
            await application(scope, receive, send)

        return handle_request


class ResourceHandler:
    """The scripts of ``--add-handler``, each answering for the files with one extension."""

    def __init__(self, resources):
        self.scripts = {}
        for extension, path in resources.items():
            extension = extension.lstrip(".").lower()
            self.scripts[extension] = Source(path), run_script(path, f"__wsgi_{extension}__")

    def handle_request(self, environ, start_response):
        """The answer of the script for the requested file."""
        module = self.script_of(environ["SCRIPT_FILENAME"])
        return callable_of(module, "handle_request", "application")(environ, start_response)

    def script_of(self, filename):
        """The script for a file. As to Apache, every extension of a name counts, the last one most, in any case."""
        for extension in reversed(os.path.basename(filename).lower().split(".")[1:]):
            if extension in self.scripts:
                return self.scripts[extension][1]
        raise ApplicationError(f"{filename} has no extension that --add-handler names; check AddHandler in included files")

    def reload_required(self, resource):
        """Whether one of the scripts has changed, or says that it wants to be loaded again."""
        return any(
            source.has_changed() or getattr(module, "reload_required", lambda _: False)(resource)
            for source, module in self.scripts.values()
        )


def locate(environ, mount_point):
    """Tell the application where it is.

    Apache takes a file below the document root for the script, so its idea of SCRIPT_NAME means nothing to the
    application, unless a trusted proxy has set it (``mod_wsgi.mount_point``).
    """
    if "mod_wsgi.mount_point" in environ:
        path = environ["mod_wsgi.script_name"] + environ["PATH_INFO"]
    else:
        path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
        environ["SCRIPT_NAME"] = ""
    if mount_point and (path == mount_point or path.startswith(mount_point + "/")):
        path = path[len(mount_point) :]
        environ["SCRIPT_NAME"] = environ["SCRIPT_NAME"] or mount_point
    environ["PATH_INFO"] = path


def locate_scope(scope, mount_point):
    """Tell an ASGI application where it is, as `locate` does one of WSGI."""
    path, root = scope["path"], ""
    if "mod_wsgi.mount_point" in scope["extensions"]["mod_wsgi"]["environ"]:
        root = scope["root_path"]
        path = path[len(root) :]
    if mount_point and (path == mount_point or path.startswith(mount_point + "/")):
        path = path[len(mount_point) :]
        root = root or mount_point
    scope["root_path"], scope["path"] = root, root + path


def interface_of(handler, wanted):
    """What the server and the application speak; an application of the other interface is refused with the cure."""
    application = handler.application
    asynchronous = is_asgi(application)
    if wanted == "wsgi" and asynchronous:
        raise ApplicationError(
            "it is an ASGI application, and this server speaks WSGI: start it with --interface asgi, without options that make Apache's own "
            "processes run the application, or wrap the application (a2wsgi.ASGIMiddleware)"
        )
    if wanted == "asgi" and not (asynchronous or takes(application, 3)):
        raise ApplicationError("it is no ASGI application: start the server with --interface wsgi, or wrap the application (a2wsgi.WSGIMiddleware)")
    if wanted == "auto" and asynchronous and threading.current_thread() is not threading.main_thread():
        # What could not be loaded when the process started is taken for one of WSGI, whose requests run on threads.
        os.kill(os.getpid(), signal.SIGUSR1)
        raise ApplicationError("it is an ASGI application, which could not be loaded when this process started; the next process serves it")
    return "asgi" if wanted == "asgi" or (wanted == "auto" and asynchronous) else "wsgi"


class Source:
    """The file from which something is about to be loaded; None for what is in no file."""

    def __init__(self, path):
        self.path = path
        self.stamp = reloader.stamp(path)
        if path:
            reloader.track_changes(path)

    @property
    def required(self):
        """What a script has as ``reload_required``. The engine itself looks at a file that is described: to call a
        function, which looks at it, costs each request more."""
        return (os.fsencode(self.path), *self.stamp) if self.stamp else lambda resource: self.has_changed()

    def has_changed(self):
        """Whether the file is another one by now. While an editor replaces it, it is missing for a moment: that is no
        change yet."""
        return reloader.stamp(self.path) not in (None, self.stamp)


def run_script(path, name):
    """Run a file as the module of this name, which is in ``sys.modules`` as pickle, dataclasses and Pyramid expect."""
    module = types.ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    try:
        with open(path, "rb") as source:
            # From bytes, so that the encoding is what the file says (PEP 263), not what the locale says.
            code = compile(source.read(), path, "exec", dont_inherit=True)
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def callable_of(module, *names):
    """The first of these callables that a module has."""
    for name in names:
        found = getattr(module, name, None)
        if callable(found):
            return found
    wanted = " or ".join(map(repr, names))
    place = getattr(module, "__file__", None) or module.__name__
    raise ApplicationError(f"{place} has no callable {wanted}; name the one it has with --callable-object")


def load_script(path, name):
    """Application and source of ``--application-type script``."""
    source = Source(path)
    return callable_of(run_script(path, "__wsgi__"), name), source


def load_module(module_name, name):
    """Application and source of ``--application-type module``."""
    module = importlib.import_module(module_name)
    return callable_of(module, name), Source(getattr(module, "__file__", None))


def load_paste(path, name):
    """Application and source of ``--application-type paste``: what the ini file describes."""
    try:
        from paste.deploy import loadapp
    except ModuleNotFoundError as missing:
        raise ApplicationError(f"--application-type paste needs PasteDeploy: {sys.executable} -m pip install PasteDeploy") from missing
    source = Source(path)
    return loadapp("config:" + os.path.abspath(path)), source


def load_static(directory, name):
    """What answers in place of an application for URLs that are no file."""
    return not_found, Source(None)


def not_found(environ, start_response):
    """WSGI application that has nothing."""
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "10")])
    return [b"Not Found\n"]


LOADERS = {"script": load_script, "module": load_module, "paste": load_paste, "static": load_static}
