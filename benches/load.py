"""What the servers are given to do, and what they are asked to bear meanwhile."""
import contextlib
import dataclasses
import functools
import json
import pathlib
import re
import socket
import subprocess
import threading
import time

import asgi_servers
import servers


@contextlib.contextmanager
def nobody(port):
    yield


@contextlib.contextmanager
def idle_clients(port):
    """200 connections that stay open and ask nothing more."""
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(4096)
        yield


@contextlib.contextmanager
def slow_clients(port):
    """16 clients that take a response of 1 MiB by 4 KiB in a tenth of a second each."""
    over = threading.Event()

    def take():
        while not over.is_set():
            with socket.socket() as client, contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.settimeout(5)
                client.connect(("127.0.0.1", port))
                client.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                while not over.is_set() and client.recv(4096):
                    time.sleep(0.1)

    clients = [threading.Thread(target=take) for _ in range(16)]
    for client in clients:
        client.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        over.set()
        for client in clients:
            client.join()


@dataclasses.dataclass(frozen=True)
class Bound:
    """What we hold ourselves to, beside another server in the same round."""
    #: A figure of the table: of `rate` it is at least so much of the other's, of the others at the most.
    figure: str
    #: One of ours; None: each of them.
    ours: str | None
    #: The other server; None: the limit is for the figure itself, in every round.
    peer: str | None
    limit: float

    def holds(self, ratio):
        return ratio >= self.limit if self.figure == "rate" else ratio <= self.limit


def faster(ours, *peers):
    """Bounds of requests per second: peers, and how many times as many as theirs."""
    return tuple(Bound("rate", ours, peer, limit) for peer, limit in peers)


def cheaper(ours, *peers):
    """Bounds of CPU time: peers, and which part of theirs; `ours` as in Bound."""
    return tuple(Bound("cpu", ours, peer, limit) for peer, limit in peers)


def as_prompt(figure, *pairs):
    """Bounds of latency: no more than that of the other."""
    return tuple(Bound(figure, ours, peer, 1) for ours, peer in pairs)


def at_most(figure, limit, *ours):
    """Bounds of a figure itself."""
    return tuple(Bound(figure, name, None, limit) for name in ours)


def not_slower():
    """Each size of a group beside the next smaller ones."""
    smaller = {1: 1, 2: 1, 4: 2, 5: 1, 15: 5}
    for p, t in servers.SIZES:
        for fewer in {(smaller[p], t), (p, smaller[t])} - {(p, t)}:
            yield Bound("rate", f"ours {p}x{t}", "ours {}x{}".format(*fewer), 0.97)


#: Python without a server, as many programs at once as the number says.
ALONE = {"Python alone": 1, "Python alone, twice": 2}


@dataclasses.dataclass(frozen=True)
class Work:
    #: What is asked for, for people.
    title: str
    path: str = ""
    #: Lines of a script for wrk.
    script: str = ""
    #: Connections that are kept busy, if it is not for the caller to say.
    connections: int | None = None
    #: Who else is there.
    beside: object = nobody
    #: Servers that cannot do it, by the beginning of their names, or all that are meant to.
    without: tuple = (servers.APACHE,)
    only: tuple = ()
    #: What keeps the connections busy.
    tool: str = "wrk"
    #: Whether it is for the servers of asynchronous applications.
    is_asgi: bool = False
    #: What is told with PASS or FAIL.
    bounds: tuple = ()
    #: What is measured besides the servers.
    besides: tuple = ()

    def is_for(self, server):
        return not server.startswith(self.without) if not self.only else server in self.only


ALL = {
    "hello": Work("12 bytes", without=(), bounds=(
        *faster("ours embedded", (servers.APACHE, 0.97), ("mod_wsgi embedded", 4)),
        *faster("ours 1x5", (servers.APACHE, 0.83), ("mod_wsgi 1x5", 4), ("nginx + uwsgi 1x5", 1.3), ("Apache + uwsgi 1x5", 1.6)),
        *faster("ours express", ("ours 1x5", 0.85)), *as_prompt("p99", ("ours 1x5", "mod_wsgi 1x5"), ("ours 1x5", "nginx + uwsgi 1x5")),
        *at_most("worst", 50, "ours embedded", "ours 1x5", "ours express"))),
    "headers": Work("12 bytes, for a request with 40 headers",
                    script="for n = 1, 40 do wrk.headers['X-Header-' .. n] = 'value ' .. n end\n", without=()),
    "one": Work("12 bytes, a client alone", connections=1, without=(), bounds=as_prompt(
        "p50", ("ours 1x5", "mod_wsgi 1x5"), ("ours 1x5", "nginx + uwsgi 1x5"), ("ours embedded", "mod_wsgi embedded"))),
    "big": Work("a response of 1 MiB", "big",
                bounds=(*faster("ours 1x5", ("mod_wsgi 1x5", 3), ("ours embedded", 0.8)), *cheaper("ours 1x5", ("granian 1", 1)))),
    "stream": Work("a response in 64 pieces of 16 KiB", "stream", bounds=faster("ours 1x5", ("mod_wsgi 1x5", 1.8))),
    "rows": Work("a response in 2000 pieces of 100 bytes", "rows"),
    "echo": Work("an upload of 1 MiB that comes back", "echo", 'wrk.method = "POST"\nwrk.body = string.rep("x", 1048576)\n',
                 bounds=faster("ours 1x5", ("mod_wsgi 1x5", 2.5))),
    "file": Work("a file of 100 MiB by wsgi.file_wrapper, with sendfile", "file", connections=4, without=(),
                 bounds=cheaper("ours 1x5", (servers.APACHE, 1.1))),
    "page": Work("a page of Django's: a query and a template", "page", besides=tuple(ALONE),
                 bounds=cheaper("ours 2x5", *((alone, 1.1) for alone in ALONE))),
    "idle": Work("12 bytes, beside 200 idle connections", beside=idle_clients, without=()),
    "slow": Work("12 bytes, beside 16 clients that take 1 MiB slowly", beside=slow_clients),
    "sizes": Work("12 bytes, by processes and threads", only=tuple(f"ours {p}x{t}" for p, t in servers.SIZES), bounds=tuple(not_slower())),
    "asgi": Work("12 bytes of an asynchronous application", is_asgi=True, without=(asgi_servers.BLOCKING,),
                 bounds=cheaper(None, (asgi_servers.FRONTED[0], 0.75), (asgi_servers.FRONTED[1], 0.65))),
    "messages": Work("messages of 64 bytes that come back on WebSockets", "ws", connections=32, tool="messages",
                     is_asgi=True, without=(asgi_servers.WSGI,),
                     bounds=cheaper(None, (asgi_servers.FRONTED[0], 0.35), (asgi_servers.FRONTED[1], 0.45))),
}

#: Bytes of a message.
MESSAGE = 64


def measure(port, started, name, seconds, connections, warm=True):
    """A server's figures for so many seconds of some work, for which it is warmed up or has been."""
    work = ALL[name]
    connections = work.connections or connections
    tool = {"wrk": wrk, "messages": messages}[work.tool]
    with work.beside(port):
        if warm:
            tool(port, work, name, 1, connections)
        before = servers.cpu_seconds(started)
        figures = tool(port, work, name, seconds, connections)
        figures["cpu"] = (servers.cpu_seconds(started) - before) / max(figures.pop("count"), 1) * 1e6
    return figures


def alone(name, seconds):
    """The figures of the page without a server."""
    command = [servers.peers() / "python", servers.REPOSITORY / "benches" / "page.py", str(seconds)]
    programs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(ALONE[name])]
    figures = [list(map(float, program.communicate()[0].split())) for program in programs]
    cpu, rate = zip(*figures)
    return {"rate": sum(rate), "cpu": sum(cpu) / len(cpu)}


def wrk(port, work, name, seconds, connections):
    """Load for so many seconds; -> requests per second, their count, latencies in ms, answers that were no 200."""
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--latency"]
    if work.script:
        script = servers.SCRATCH / f"{name}.lua"
        script.write_text(work.script)
        command += ["--script", script]
    text = subprocess.run([*command, f"http://127.0.0.1:{port}/{work.path}"], capture_output=True, text=True, check=True).stdout

    def latency(percent):
        value, unit = re.search(rf"\b{percent}%\s+([\d.]+)(us|ms|s|m)\b", text).groups()
        return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]

    def worst():
        value, unit = re.search(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)\b", text).groups()
        return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]

    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]),
        "count": int(re.search(r"(\d+) requests in", text)[1]),
        "p50": latency(50),
        "p99": latency(99),
        "worst": worst(),
        "errors": int(wrong[1] if wrong else 0) + sum(map(int, broken.groups() if broken else ())),
    }


@functools.cache
def messages_program():
    """Compiles the program that keeps WebSockets busy."""
    source, program = servers.REPOSITORY / "benches" / "messages.c", servers.SCRATCH / "messages"
    subprocess.run([*servers.ask_apxs("CC").split(), "-O2", "-o", program, source], check=True)
    return program


def messages(port, work, name, seconds, connections):
    """As `wrk`, of messages on WebSockets."""
    command = [messages_program(), str(port), f"/{work.path}", str(connections), str(MESSAGE), str(seconds)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
