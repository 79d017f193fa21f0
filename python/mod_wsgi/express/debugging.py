"""The tools of ``--debug-mode``, where one thread of one process does everything."""

import atexit
import bdb
import functools
import os
import pdb
import sys
import time
import traceback


def watch(settings, make):
    """The callable and the reload hook that ``make()`` gives, with the chosen tools at work while it does and in every
    request."""
    tools = chosen(**settings)
    for tool in tools:
        make = within(tool, make)
    handle_request, reload_required = make()
    for tool in tools:
        handle_request = Watched(handle_request, tool)
    recorder = settings["recorder"]
    return RequestRecorder(handle_request, recorder) if recorder else handle_request, reload_required


@functools.cache
def chosen(debugger, debugger_startup, coverage, profiler, recorder):
    """The tools that are there once in a process, however often its scripts are loaded; the recorder is part of each
    application."""
    tools = []
    if coverage:
        tools.append(Coverage(coverage))
    if profiler:
        tools.append(Profiler(profiler))
    if debugger:
        # Outermost, so that the others have let go when it stops.
        tools.append(Debugger(debugger_startup))
    return tools


def within(tool, function):
    """The function, which runs while the tool is at work."""

    @functools.wraps(function)
    def inside():
        with tool:
            return function()

    return inside


class Watched:
    """A WSGI application with a tool at work when it is called, for each piece of its response, and when that is
    closed."""

    def __init__(self, application, tool):
        self.application, self.tool = application, tool

    def __call__(self, environ, start_response):
        with self.tool:
            response = self.application(environ, start_response)
        return WatchedResponse(response, self.tool)


class WatchedResponse:
    """The response of a ``Watched`` application."""

    def __init__(self, response, tool):
        self.response, self.tool = response, tool

    def __iter__(self):
        with self.tool:
            pieces = iter(self.response)
        done = object()
        while True:
            with self.tool:
                piece = next(pieces, done)
            if piece is done:
                return
            yield piece

    def close(self):
        """Ends the response."""
        with self.tool:
            close(self.response)


def close(response):
    """Calls what PEP 3333 has a server call at the end."""
    if hasattr(response, "close"):
        response.close()


class Debugger:
    """Python's debugger at the terminal: where an exception was raised, and at breakpoints."""

    def __init__(self, startup):
        # Without readline the prompt of input() would go to standard error, which is the log.
        streams = {} if has_readline() else {"stdin": sys.stdin, "stdout": sys.stdout}
        # Ctrl-C stops the server, not the application.
        self.pdb = pdb.Pdb(nosigint=True, **streams)
        self.startup = startup

    def __enter__(self):
        if self.startup:
            self.startup = False
            self.pdb.set_trace(sys._getframe(1))
        elif self.pdb.get_all_breaks():
            # Python traces each thread by itself, and requests come in another one than the application was loaded in.
            self.pdb.reset()
            self.pdb.botframe = sys._getframe(1)
            self.pdb.set_continue()
            sys.settrace(self.pdb.trace_dispatch)

    def __exit__(self, kind, error, trace):
        sys.settrace(None)
        if trace is not None and not issubclass(kind, (bdb.BdbQuit, SystemExit)):
            print("".join(traceback.format_exception(kind, error, trace)), end="")
            self.pdb.reset()
            self.pdb.interaction(None, trace)


class PostMortemDebugger(Watched):
    """A WSGI application whose exceptions stop in Python's debugger."""

    def __init__(self, application, startup=False):
        super().__init__(application, Debugger(startup))


def has_readline():
    """Whether this Python edits lines of input."""
    try:
        import readline  # noqa: F401
    except ImportError:
        return False
    return True


class Coverage:
    """Which lines were executed, as HTML at the end of the process."""

    def __init__(self, directory):
        from coverage import Coverage

        self.directory = directory
        # In memory alone, since nobody asked for a file beside the application.
        self.coverage = Coverage(data_file=None)
        atexit.register(self.report)

    def __enter__(self):
        self.coverage.start()

    def __exit__(self, *_):
        self.coverage.stop()

    def report(self):
        """Writes the pages."""
        self.coverage.html_report(directory=self.directory)


class Profiler:
    """Where time goes, as a file for ``pstats`` at the end of the process."""

    def __init__(self, directory):
        from cProfile import Profile

        self.profile = Profile()
        self.path = os.path.join(directory, f"{unique()}.pstats")
        atexit.register(self.report)

    def __enter__(self):
        self.profile.enable()

    def __exit__(self, *_):
        self.profile.disable()

    def report(self):
        """Writes the file."""
        self.profile.dump_stats(self.path)


class RequestRecorder:
    """A WSGI application that leaves a copy of what was asked and answered: files named
    ``<microseconds>-<pid>-<number>`` and

    ``.iheaders`` the environ, ``.icontent`` the body, ``.oheaders`` status and headers, ``.ocontent`` the content;
    ``.oaexcept``, ``.orexcept`` and ``.ofexcept`` the exception of the call, of the response and of its end, if there
    was one.
    """

    def __init__(self, application, directory):
        self.application, self.directory, self.number = application, directory, 0

    def __call__(self, environ, start_response):
        self.number += 1
        return RecordedResponse(self.application, environ, start_response, os.path.join(self.directory, f"{unique()}-{self.number}"))


class RecordedResponse:
    """A request while it is recorded; for the server it is the response."""

    def __init__(self, application, environ, start_response, path):
        self.path, self.start_response, self.write, self.body = path, start_response, None, None
        self.record("iheaders", "".join(f"{name}: {value!r}\n" for name, value in sorted(environ.items())).encode())
        self.record("ocontent")
        self.response = self.attempt("oaexcept", self.call, application, environ)

    def record(self, kind, content=b""):
        """Adds to one of the files."""
        # The content of requests may be secret.
        with open(os.open(f"{self.path}.{kind}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(content)

    def attempt(self, kind, function, *arguments):
        """Calls a function and records its exception."""
        try:
            return function(*arguments)
        except BaseException:
            self.record(kind, traceback.format_exc().encode())
            raise

    def call(self, application, environ):
        """The application's response to the request, whose body is read from the file that keeps it."""
        for piece in iter(functools.partial(environ["wsgi.input"].read, 65536), b""):
            self.record("icontent", piece)
        self.record("icontent")
        self.body = environ["wsgi.input"] = open(f"{self.path}.icontent", "rb")
        return application(environ, self.start)

    def start(self, status, headers, *error):
        """What the application knows as ``start_response``."""
        lines = [status, *(f"{name}: {value}" for name, value in headers)]
        self.record("oheaders", "".join(line + "\n" for line in lines).encode("latin-1", "replace"))
        self.write = self.start_response(status, headers, *error)
        return self.write_and_record

    def write_and_record(self, content):
        """What ``start_response`` returns."""
        self.record("ocontent", content)
        self.write(content)

    def __iter__(self):
        done = object()
        pieces = self.attempt("orexcept", iter, self.response)
        while (piece := self.attempt("orexcept", next, pieces, done)) is not done:
            self.record("ocontent", piece)
            yield piece

    def close(self):
        """Ends the response."""
        try:
            self.attempt("ofexcept", close, self.response)
        finally:
            self.body.close()


def unique():
    """Part of a file's name: when and by whom it was made."""
    return f"{time.time_ns() // 1000}-{os.getpid()}"
