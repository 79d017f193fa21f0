"""``--reload-on-changes``: when the file of an imported module changes, a new process takes the place of this one."""

import atexit
import os
import signal
import sys
import threading
from importlib.machinery import SourceFileLoader

import mod_wsgi

_tracked = set()
#: How each watched file was when it was imported, or first looked at.
_stamps = {}
_stopping = threading.Event()
_starting = threading.Lock()
_monitors = []


def track_changes(path):
    """Watch another file too: one that is read, not imported."""
    _tracked.add(os.path.abspath(path))


def start_reloader(interval=1.0):
    """Look for changes every ``interval`` seconds, in a thread of its own. Further calls change nothing."""
    with _starting:
        # The script that calls this runs again after it has failed.
        if _monitors:
            return
        monitor = threading.Thread(target=_watch, args=(interval,), name="mod_wsgi.express.reloader", daemon=True)
        _monitors.append(monitor)
    note_imports()
    atexit.register(_stop, monitor)
    monitor.start()


def stamp(path):
    """What differs after a change of a file; None if there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, TypeError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


def note_imports():
    """Have the import system note how each file is when it is read: it may change before the monitor first looks."""
    path_stats = SourceFileLoader.path_stats

    def noted(self, path):
        _stamps[path] = stamp(path)
        return path_stats(self, path)

    SourceFileLoader.path_stats = noted


def watched_files():
    """The files of all imported modules, and the tracked ones."""
    # A copy, since other threads import.
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return _tracked.union(file for file in files if isinstance(file, str))


def find_change(stamps, files):
    """The first file that is not as it was the last time; ``stamps`` remembers how that was."""
    for path in files:
        now = stamp(path)
        # Between deletion and the new version an editor leaves nothing for a moment.
        if now is not None and stamps.setdefault(path, now) != now:
            return path
    return None


def _watch(interval):
    _say("Starting change monitor.")
    while not _stopping.is_set():
        path = find_change(_stamps, watched_files())
        if path is not None:
            _say(f'Change detected to "{path}".')
            _say("Triggering process restart.")
            os.kill(os.getpid(), _restart_signal())
            return
        _stopping.wait(interval)


def _restart_signal():
    """A daemon lets its requests end after SIGUSR1 while its successor starts; a child of Apache knows only SIGTERM,
    and is replaced by Apache."""
    in_daemon = getattr(mod_wsgi, "process_group", "")
    return signal.SIGUSR1 if in_daemon else signal.SIGTERM


def _stop(monitor):
    # A thread that still runs while the interpreter is taken apart may crash it.
    _stopping.set()
    monitor.join()


def _say(text):
    print(f"monitor (pid={os.getpid()}): {text}", file=sys.stderr, flush=True)
