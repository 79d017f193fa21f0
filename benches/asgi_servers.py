"""The servers of asynchronous applications that are compared: this project, and its peers from PyPI, alone and behind
Apache. All run the same application (asgi.py) in one process, by the same interpreter, and all but one by uvloop.
"""
import servers

APPLICATION = servers.REPOSITORY / "benches" / "asgi.py"
PEERS = ["granian==2.8.7", "uvicorn[standard]==0.54.0"]

#: Ours, by event loop.
OURS = ("ours uvloop", "ours asyncio")
#: Ours with uvloop, and a thread of Apache for each WebSocket instead of one for all.
BLOCKING = "ours blocking"
FRONTED = ("Apache + granian", "Apache + uvicorn")
ALONE = ("granian asgi", "uvicorn")
#: The same 12 bytes of an application of WSGI.
WSGI = "ours wsgi 1x1"


def all_servers(python):
    """What is compared, as servers.wsgi_servers() has it, with the application in this interpreter.

    Apache's user must be able to run that.
    """
    programs = servers.environment(f"asgi-{servers.version(python)}", python, PEERS)
    return {
        WSGI: apache(ours(programs, servers.APPLICATION, "threads=1")),
        OURS[0]: apache(ours(programs, APPLICATION, "interface=asgi loop=uvloop")),
        OURS[1]: apache(ours(programs, APPLICATION, "interface=asgi loop=asyncio")),
        BLOCKING: apache([*ours(programs, APPLICATION, "interface=asgi loop=uvloop"), "WSGIWebSocketSuspend Off"]),
        FRONTED[0]: fronted(lambda port: granian(programs, port)),
        FRONTED[1]: fronted(lambda port: uvicorn(programs, port)),
        ALONE[0]: lambda directory, port: [granian(programs, port)],
        ALONE[1]: lambda directory, port: [uvicorn(programs, port)],
    }


def apache(lines):
    """An Apache that has threads for all WebSockets, where each holds one, and a fourth more."""
    return servers.apache(lines, threads=64)


def ours(programs, script, options):
    """The lines for our module with this script, in one process of these options."""
    return [servers.module(servers.our_express()), "WSGISocketPrefix {directory}/wsgi",
            f"WSGIDaemonProcess hello processes=1 {options} python-home={programs.parent}",
            f"WSGIScriptAlias / {script} process-group=hello application-group=%{{{{GLOBAL}}}}"]


def granian(programs, port):
    return [programs / "granian", "--interface", "asgi", "--loop", "uvloop", "--host", "127.0.0.1", "--port", port, "--workers", "1",
            "--log-level", "warning", "--working-dir", APPLICATION.parent, "asgi:application"]


def uvicorn(programs, port):
    return [programs / "uvicorn", "--loop", "uvloop", "--http", "httptools", "--host", "127.0.0.1", "--port", port, "--no-access-log",
            "--log-level", "warning", "--app-dir", APPLICATION.parent, "asgi:application"]


def fronted(backend):
    """A server, and Apache before it, which keeps its connections to that."""
    def commands(directory, port):
        inner = servers.free_port()
        url = f"http://127.0.0.1:{inner}/"
        front = apache([*servers.load("proxy", "proxy_http"), f"ProxyPass /ws {url}ws upgrade=websocket retry=0",
                                f"ProxyPass / {url} retry=0"])
        return [*front(directory, port), backend(inner)]
    return commands

