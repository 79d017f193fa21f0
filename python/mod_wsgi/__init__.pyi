"""The module that applications import inside a server. Outside there is only the package, without these names."""

from collections.abc import Callable, Iterator
from logging import Handler
from typing import Any, TypedDict, TypeVar, type_check_only

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

class ClientDisconnected(OSError):
    """Raised by `send` of an ASGI application when its client is gone."""

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

@type_check_only
class RequestMetrics(TypedDict):
    """An interval: what happened since the call before.

    Times are in seconds, sizes in bytes. A phase has its mean time, the extremes in microseconds and 65 buckets: below
    1 ms, four for each octave up to 65536 ms, and above. The old names ``cpu_..._time`` and ``request_threads_buckets``
    mean the same as ``cpu_..._utilization`` and ``request_threads_completed``.
    """

    pid: int
    start_time: float
    stop_time: float
    sample_period: float
    cpu_user_utilization: float
    cpu_system_utilization: float
    cpu_utilization: float
    cpu_user_time: float
    cpu_system_time: float
    cpu_time: float
    memory_rss: int
    memory_max_rss: int
    request_threads_maximum: int
    request_threads_started: int
    request_threads_active: int
    capacity_utilization: float
    request_count: int
    request_throughput: float
    status_1xx: int
    status_2xx: int
    status_3xx: int
    status_4xx: int
    status_5xx: int
    input_bytes: int
    input_reads: int
    output_bytes: int
    output_writes: int
    gil_wait_count: int
    server_time: float
    server_time_min_us: int | None
    server_time_max_us: int | None
    server_time_buckets: list[int]
    queue_time: float | None
    queue_time_min_us: int | None
    queue_time_max_us: int | None
    queue_time_buckets: list[int]
    daemon_time: float | None
    daemon_time_min_us: int | None
    daemon_time_max_us: int | None
    daemon_time_buckets: list[int]
    application_time: float
    application_time_min_us: int | None
    application_time_max_us: int | None
    application_time_buckets: list[int]
    request_time: float
    request_time_min_us: int | None
    request_time_max_us: int | None
    request_time_buckets: list[int]
    gil_wait_time: float
    gil_wait_time_min_us: int | None
    gil_wait_time_max_us: int | None
    gil_wait_time_buckets: list[int]
    input_read_time: float
    input_read_time_min_us: int | None
    input_read_time_max_us: int | None
    input_read_time_buckets: list[int]
    output_write_time: float
    output_write_time_min_us: int | None
    output_write_time_max_us: int | None
    output_write_time_buckets: list[int]
    request_threads_completed: list[int]
    request_threads_buckets: list[int]
    request_threads_busy_time: list[float]
    request_threads_cpu_time: list[float]
    request_threads_current_elapsed: list[float]
    request_threads_max_duration: list[float]

def request_metrics() -> RequestMetrics | None:
    """What happened in this process since the last call; None while nothing is recorded."""

@type_check_only
class ThreadMetrics(TypedDict):
    """One thread, in :class:`ProcessMetrics`."""

    thread_id: int
    request_count: int

@type_check_only
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

@type_check_only
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

@type_check_only
class ServerProcess(TypedDict):
    """One process of Apache, in :class:`ServerMetrics`."""

    process_num: int
    pid: int
    generation: int
    quiescing: bool
    workers: list[WorkerMetrics]

@type_check_only
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
