"""The module that applications import inside a server. Outside there is only the package, without these names."""

from collections.abc import Callable, Iterator
from logging import Handler
from typing import Any, TypedDict, TypeVar

version: tuple[int, int, int]
"""The version of mod_wsgi with which this module is compatible."""
process_group: str
"""Name of the daemon process group; empty in Apache's own processes."""
application_group: str
"""Name of the interpreter; empty for the main one."""
maximum_processes: int
"""How many processes serve this application at most."""
threads_per_process: int
"""How many threads each of them has at most."""

_Callback = TypeVar("_Callback", bound=Callable[..., dict[str, Any] | None])

event_callbacks: list[Callable[..., Any]]
"""What :func:`subscribe_events` has added, in the order of the calls."""
shutdown_callbacks: list[Callable[..., Any]]
"""What :func:`subscribe_shutdown` has added."""
signal_callbacks: list[Callable[..., Any]]
"""What :func:`subscribe_signals` has added."""
active_requests: dict[str, dict[str, Any]]
"""The dictionaries of the requests that are being served, by request id; see :func:`request_data`."""

class FileWrapper:
    """``wsgi.file_wrapper``: a file, sent in blocks or, where possible, by Apache itself."""

    def __init__(self, filelike: Any, blksize: int = 8192) -> None: ...
    @property
    def filelike(self) -> Any: ...
    @property
    def blksize(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...

class LogHandler(Handler):
    """Writes the records of :mod:`logging` to Apache's error log, at the level of the same meaning."""

class RequestTimeout(BaseException):
    """Raised in a request that takes longer than the request timeout, where an interrupt timeout is set."""

def subscribe_events(callback: _Callback, /) -> _Callback:
    """Have `callback(name, **event)` called for each event; a dict that it returns is merged into the event."""

def subscribe_shutdown(callback: _Callback, /) -> _Callback:
    """Have `callback("process_stopping", shutdown_reason=...)` called when the process is to end."""

def subscribe_signals(callback: _Callback, /) -> _Callback:
    """Have `callback("process_signal", signame=..., signum=...)` called for SIGHUP and SIGUSR2 to a daemon process."""

def request_data() -> dict[str, Any]:
    """A dictionary that belongs to the request of the calling thread. RuntimeError where there is none."""

def start_recording_metrics() -> None:
    """Record from now on what :func:`request_metrics` and :func:`process_metrics` tell."""

def request_metrics() -> dict[str, Any] | None:
    """What happened in this process since the last call; None while nothing is recorded."""

class ThreadMetrics(TypedDict):
    """One thread, in :class:`ProcessMetrics`."""

    thread_id: int
    request_count: int

class ProcessMetrics(TypedDict):
    """Totals of this process; times in seconds, sizes in bytes."""

    pid: int
    request_count: int
    request_busy_time: float
    memory_rss: int
    memory_max_rss: int
    cpu_user_time: float
    cpu_system_time: float
    cpu_time: float
    restart_time: float
    current_time: float
    running_time: int
    request_threads: int
    active_requests: int
    threads: list[ThreadMetrics]

def process_metrics() -> ProcessMetrics | None:
    """Totals of this process; None while nothing is recorded."""

class WorkerMetrics(TypedDict):
    """One thread of an Apache process, in :class:`ServerProcess`."""

    thread_num: int
    generation: int
    status: str
    access_count: int
    bytes_served: int
    start_time: float
    stop_time: float
    last_used: float
    client: str
    request: str
    vhost: str

class ServerProcess(TypedDict):
    """One process of Apache, in :class:`ServerMetrics`."""

    process_num: int
    pid: int
    generation: int
    quiescing: bool
    workers: list[WorkerMetrics]

class ServerMetrics(TypedDict):
    """Apache as its scoreboard shows it."""

    server_limit: int
    thread_limit: int
    running_generation: int
    restart_time: float
    current_time: float
    running_time: int
    processes: list[ServerProcess]

def server_metrics() -> ServerMetrics | None:
    """Apache as its scoreboard shows it; None unless it was allowed in the configuration."""
