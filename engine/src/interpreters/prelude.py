"""What an interpreter is prepared with, as far as that is easier said in Python. Compiled into the engine."""


def search_path(layers, home):
    """Add directories through site.addsitedir, so that .pth files count; what is new goes to the front, the last layer
    first, home before all."""
    import site
    import sys

    for directories in layers:
        before = list(sys.path)
        for directory in directories:
            site.addsitedir(directory)
        added = [entry for entry in sys.path if entry not in before]
        sys.path[:] = added + [entry for entry in sys.path if entry in before]
    if home:
        sys.path.insert(0, home)


def become_user():
    """Make the environment say who the process runs as: it was Apache's."""
    import os
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid())
    except KeyError:
        return
    os.environ["HOME"] = user.pw_dir
    for name in ("USER", "USERNAME", "LOGNAME"):
        if name in os.environ:
            os.environ[name] = user.pw_name


def own(thing, kind, names):
    """Whether these attributes of an instance are those of its class `kind`, which nobody has overridden in a subclass
    or in the instance."""
    return not (vars(thing).keys() & names) and all(getattr(type(thing), name, None) is getattr(kind, name, None) for name in names)


def file_below(wrapper, wrapper_class):
    """The file that a wsgi.file_wrapper iterates over, if what it gives is byte for byte what the system has in the
    file, from where it stands."""
    import io

    names = {"__getattribute__", "__iter__", "__next__"}
    if any(getattr(type(wrapper), name) is not getattr(wrapper_class, name) for name in names):
        return None
    file = wrapper.filelike
    names = {"__getattribute__", "fileno", "read", "readinto", "tell"}
    for kind in (io.BufferedReader, io.BufferedRandom, io.FileIO):
        if issubclass(type(file), kind):
            raw = file if kind is io.FileIO else file.raw
            if not (own(file, kind, names) and issubclass(type(raw), io.FileIO) and own(raw, io.FileIO, names)):
                return None
            if kind is io.BufferedRandom:
                file.flush()
            return file
    return None


class SignalIntercept:
    """What stands in for signal.signal: keeps applications from taking the process's signals; processes that they fork
    may have theirs."""

    def __init__(self, register, note):
        import os

        self._register, self._note, self._owner = register, note, os.getpid()

    def __call__(self, *arguments, **_names):
        import operator
        import os
        import traceback

        if len(arguments) != 2:
            raise TypeError(f"signal() takes exactly 2 arguments ({len(arguments)} given)")
        number, handler = operator.index(arguments[0]), arguments[1]
        if os.getpid() != self._owner:
            return self._register(number, handler)
        stack = "".join(traceback.format_stack()).rstrip()
        self._note(f"Ignoring Python signal handler registration for signal {number} in WSGI process; mod_wsgi manages signals.\n{stack}")
        return handler


SignalIntercept.__module__ = "mod_wsgi"


def restrict_signals(note):
    """Make the process's signals its own affair."""
    import signal

    signal.signal = SignalIntercept(signal.signal, note)


def watch_forks(about_to_fork):
    """Tell us of forks before they happen; what subprocess does by itself is none."""
    import os

    os.register_at_fork(before=about_to_fork)


def give_programs_their_signals():
    """Let programs that are started have the signals that Apache blocks in the threads which Python runs in: they would
    inherit that, `terminate()` had no effect, and multiprocessing's server of forked processes never heard of the end
    of one. Forked processes are seen to elsewhere."""
    import functools
    import os
    import signal
    import sys

    import _posixsubprocess

    def spawning(spawn):
        @functools.wraps(spawn)
        def with_signals(*arguments, setsigmask=(), **options):
            return spawn(*arguments, setsigmask=setsigmask, **options)

        return with_signals

    os.posix_spawn, os.posix_spawnp = spawning(os.posix_spawn), spawning(os.posix_spawnp)
    start = _posixsubprocess.fork_exec

    @functools.wraps(start)
    def fork_exec(*arguments):
        # It takes no set of signals. Apache's own thread, which is preferred, has those that it waits for meanwhile,
        # too.
        blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            return start(*arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    _posixsubprocess.fork_exec = fork_exec
    if hasattr(sys.modules.get("subprocess"), "_fork_exec"):
        sys.modules["subprocess"]._fork_exec = fork_exec


def log_handler(enabled, write):
    """The class mod_wsgi.LogHandler; `enabled(number)` and `write(number, …)` take the levels of the logging module."""
    import logging

    def split(record, text):
        """The message and, if there is one, the traceback below it, which stays with it."""
        if not (record.exc_info or record.exc_text or record.stack_info):
            return text, None
        message, found, rest = text.partition(f"\n{record.exc_text}") if record.exc_text else (text, "", "")
        if found:
            return message, record.exc_text + rest
        message, found, rest = text.partition("\n")
        return message, rest if found else None

    class LogHandler(logging.Handler):
        """Writes to Apache's error log, at the Apache level of the same meaning."""

        def emit(self, record):
            if not enabled(record.levelno):
                return
            try:
                text = self.format(record)
            except Exception:
                self.handleError(record)
                return
            if text:
                write(record.levelno, *split(record, text.removesuffix("\n")), record.name, record.pathname, record.lineno)

    LogHandler.__module__ = "mod_wsgi"
    LogHandler.__qualname__ = "LogHandler"
    return LogHandler


def stack(frame):
    """Where a thread is, as text."""
    import traceback

    return "".join(traceback.format_stack(frame)).rstrip() if frame else "It is in no Python code."


def watch_collector():
    """Note each pass of the garbage collector, for collector_report."""
    import collections
    import gc
    import time

    passes = collections.deque(maxlen=256)
    begun, dropped = None, 0

    def note(phase, info):
        nonlocal begun, dropped
        if phase == "start":
            begun = time.time(), time.perf_counter()
        elif begun:
            dropped += len(passes) == passes.maxlen
            passes.append((begun[0], time.perf_counter() - begun[1], info["generation"], info["collected"], info["uncollectable"]))

    def report():
        taken = [passes.popleft() for _ in range(len(passes))]
        stats = [generation[name] for name in ("collections", "collected", "uncollectable") for generation in gc.get_stats()]
        state = [*gc.get_count(), *gc.get_threshold(), *stats, gc.isenabled(), gc.get_freeze_count(), dropped]
        return [max(0, value) for value in state], taken

    global collector_report
    collector_report = report
    gc.callbacks.append(note)


def share_main_thread(ident, native_id):
    """Let the main thread of a sub-interpreter be that of the process, as it is from CPython 3.13 on: not whichever
    thread made the interpreter, which serves requests or ends soon, and then gives its number to another one."""
    import sys
    import threading

    if sys.version_info < (3, 13):
        main = threading.main_thread()
        threading._active.pop(main.ident, None)
        main._ident, main._native_id = ident, native_id
        threading._active[ident] = main


def join_threads(timeout, held_up):
    """Wait for the threads that are no daemons, as CPython does at the end: those of executors have to be told first.
    `held_up`, if it is not None, is called if one of them takes longer than `timeout` seconds."""
    import threading

    # Where `site` has imported threading, its main thread is the maker of the interpreter, whose state CPython would
    # wait for (before 3.13).
    main = threading.main_thread()
    if (lock := getattr(main, "_tstate_lock", None)) and lock.locked():
        main._set_ident()
    for tell in reversed(getattr(threading, "_threading_atexits", ())):
        tell()
    for thread in threading.enumerate():
        if not thread.daemon and thread is not main and thread is not threading.current_thread():
            if held_up:
                thread.join(timeout)
                if thread.is_alive():
                    held_up()
                    held_up = None
            thread.join()


def run_exit_functions():
    """What CPython does at the end of an interpreter, where nobody will end it."""
    import atexit
    import sys

    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


def is_async(application):
    """Whether a call of the application gives a coroutine for certain."""
    import functools
    import inspect

    while isinstance(application, functools.partial):
        application = application.func
    if inspect.isclass(application):
        return False
    call = getattr(application, "__call__", None)
    return inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(call)
