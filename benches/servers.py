"""The servers that are compared: how each is installed, configured, started, and stopped, and what it uses meanwhile.

The peers come from PyPI, at the versions named here, into a virtual environment below build/; nginx is compared where
it is installed. This project is taken from $MOD_WSGI_EXPRESS, or .venv, or installed for the purpose.
"""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
SCRATCH = REPOSITORY / "build" / "bench"
APPLICATION = REPOSITORY / "benches" / "hello.py"
BOUND = REPOSITORY / "benches" / "null.c"
PEERS = ["mod_wsgi==6.1.1", "gunicorn==27.0.1", "granian==2.8.7", "uwsgi==2.0.31", "django~=5.2"]
#: Apache itself, without Python: a handler in C that sends twelve bytes, and a file.
APACHE = "Apache alone"
PR_SET_CHILD_SUBREAPER = 36


def prepare():
    """Makes what a server starts and leaves behind a child of this program.

    So it is counted, and ended, with the rest.
    """
    for program in ("wrk", "apxs"):
        if not shutil.which(program):
            sys.exit(f"{program} is not on PATH: install the packages wrk and apache2-dev (httpd-devel).")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def our_express():
    """The installed command of this project."""
    given = os.environ.get("MOD_WSGI_EXPRESS")
    if given:
        return pathlib.Path(given)
    installed = REPOSITORY / ".venv" / "bin" / "mod_wsgi-express"
    return installed if installed.exists() else environment("ours", sys.executable, [str(REPOSITORY)]) / "mod_wsgi-express"


def environment(name, python, packages):
    """A virtual environment below build/ with these packages; -> its directory of programs."""
    programs = SCRATCH / name / "bin"
    installed = SCRATCH / name / "installed"
    if not installed.exists() or installed.read_text() != " ".join(packages):
        print(f"installing {', '.join(packages)}", file=sys.stderr, flush=True)
        subprocess.run([python, "-m", "venv", "--clear", SCRATCH / name], check=True)
        subprocess.run([programs / "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)
        installed.write_text(" ".join(packages))
    return programs


def peers():
    """The directory of the peers' programs, made with the interpreter that this project is installed into."""
    return environment("peers", base_python(), PEERS)


def packages(programs):
    """The directory of the packages that belong to these programs."""
    return next(programs.parent.glob("lib/python*/site-packages"))


def base_python():
    """The interpreter of whose environments one has this project."""
    asked = [our_express().with_name("python"), "-c", "import sys; print(sys._base_executable)"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def version(python):
    """The version of an interpreter."""
    asked = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def wsgi_servers():
    """What is compared: a function for each that writes its configuration and gives its commands."""
    ours, programs = our_express(), peers()
    servers = {APACHE: apache(null_lines())}
    for name, express, sizes in (("ours", ours, SIZES), ("mod_wsgi", programs / "mod_wsgi-express", SIZES[:1] + SIZES[1:3])):
        servers |= {f"{name} embedded": apache(wsgi(express))}
        servers |= {f"{name} {p}x{t}": apache(wsgi(express, p, t)) for p, t in sizes}
    servers["ours express"] = express_server(ours)
    threads = ["--threads", "5"]
    uwsgi = [programs / "uwsgi", "--master", "--die-on-term", "--processes", "1", *threads, "--disable-logging",
             "--wsgi-file", APPLICATION, "--virtualenv", programs.parent]
    servers |= {
        "gunicorn 1x5": lambda directory, port: [[
            programs / "gunicorn", "--chdir", APPLICATION.parent, "--worker-class", "gthread", "--workers", "1", *threads,
            "--keep-alive", "30", "--bind", f"127.0.0.1:{port}", "hello:application"]],
        "granian 1": lambda directory, port: [[
            programs / "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", port, "--workers", "1", "--no-ws",
            "--log-level", "warning", "--working-dir", APPLICATION.parent, "hello:application"]],
        "uwsgi http 1x5": lambda directory, port: [[*uwsgi, "--http", f"127.0.0.1:{port}", "--http-keepalive"]],
        "Apache + uwsgi 1x5": fronted(uwsgi, apache([*load("proxy", "proxy_uwsgi"), "ProxyPass / unix:{directory}/uwsgi|uwsgi://app/"])),
    }
    if program := nginx():
        servers["nginx + uwsgi 1x5"] = fronted(uwsgi, lambda directory, port: nginx_command(program, directory, port))
    else:
        print("nginx is not compared: it is not installed", file=sys.stderr)
    return servers


#: Processes and threads of the groups that are compared.
SIZES = [(1, 1), (1, 5), (2, 5), (1, 15), (2, 1), (2, 15), (4, 1), (4, 5), (4, 15)]


def ask_apxs(what):
    return subprocess.run(["apxs", "-q", what], capture_output=True, text=True, check=True).stdout.strip()


def load(*names):
    """The lines that load these modules of Apache, as far as they are not compiled in."""
    files = {name: pathlib.Path(ask_apxs("LIBEXECDIR")) / f"mod_{name}.so" for name in names}
    return [f"LoadModule {name}_module {file}" for name, file in files.items() if file.exists()]


def null_lines():
    """The lines for Apache alone."""
    return [f"LoadModule null_module {null_module()}", "<Location />", "SetHandler null", "</Location>",
            f"Alias /file {large_file()}", "<Location /file>", "SetHandler default-handler", "</Location>"]


def null_module():
    """Compiles the handler in C; -> the file of its module."""
    source = SCRATCH / BOUND.name
    shutil.copy(BOUND, source)
    subprocess.run(["apxs", "-c", source.name], cwd=SCRATCH, check=True, capture_output=True)
    return SCRATCH / ".libs" / "null.so"


def large_file():
    """A file of 100 MiB that is no hole."""
    file = SCRATCH / "large"
    if not file.exists() or file.stat().st_size != 100 << 20:
        file.write_bytes(os.urandom(1 << 20) * 100)
    return file


def module(express):
    """The lines that load the module that this command belongs to."""
    return subprocess.run([express, "module-config"], capture_output=True, text=True, check=True).stdout


def wsgi(express, processes=0, threads=0):
    """The lines for the module that this command belongs to.

    They are for so many daemon processes and threads, or for embedded mode.
    """
    daemon = [f"WSGIDaemonProcess hello processes={processes} threads={threads} python-path={packages(peers())}"] if processes else []
    group = "process-group=hello " if processes else ""
    path = [] if processes else [f"WSGIPythonPath {packages(peers())}"]
    return [module(express), "WSGISocketPrefix {directory}/wsgi", "WSGIEnableSendfile On", *path, *daemon,
            f"WSGIScriptAlias / {APPLICATION} {group}application-group=%{{{{GLOBAL}}}}"]


def apache(lines, threads=32):
    """An Apache with so many threads and these lines in its configuration."""
    def command(directory, port):
        user = ["User www-data", "Group www-data"] if os.getuid() == 0 else []
        conf = directory / "httpd.conf"
        conf.write_text("\n".join([
            *load("mpm_event", "unixd", "authz_core", "alias"), *user, f"ServerRoot {directory}", "ServerName localhost",
            f"Listen 127.0.0.1:{port}", f"PidFile {directory}/httpd.pid", f"DefaultRuntimeDir {directory}", f"Mutex file:{directory} default",
            f"ErrorLog {directory}/error.log", "LogLevel warn", f"DocumentRoot {directory}", "MaxKeepAliveRequests 0",
            "KeepAliveTimeout 30", "EnableSendfile On", "StartServers 1", "ServerLimit 1", f"ThreadsPerChild {threads}", f"ThreadLimit {threads}",
            f"MaxRequestWorkers {threads}", "MinSpareThreads 1",
            # 200 idle connections are more than Apache lets in otherwise.
            "AsyncRequestWorkerFactor 16", "<Directory />", "AllowOverride None", "Require all granted", "</Directory>",
            *(line.format(directory=directory) for line in lines), ""]))
        return [[httpd(), "-f", conf, "-DFOREGROUND"]]
    return command


def httpd():
    """The program of Apache."""
    return pathlib.Path(ask_apxs("SBINDIR")) / ask_apxs("PROGNAME")


def express_server(express):
    """What the command starts when nothing is asked of it: its own user, access log off, all modules that it loads."""
    user = ["--user", "www-data", "--group", "www-data"] if os.getuid() == 0 else []
    return lambda directory, port: [[express, "start-server", APPLICATION, "--port", port, "--server-root", directory / "server", *user]]


def fronted(uwsgi, front):
    """uwsgi on a socket, and the server before it."""
    return lambda directory, port: [*front(directory, port), [*uwsgi, "--socket", directory / "uwsgi", "--chmod-socket=666"]]


def nginx():
    """The program of nginx; None where it is not installed."""
    return shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")


def nginx_command(program, directory, port):
    conf = directory / "nginx.conf"
    conf.write_text(f"""daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_requests 100000000; client_max_body_size 0; include /etc/nginx/uwsgi_params;
    upstream app {{ server unix:{directory}/uwsgi; keepalive 32; }}
    server {{ listen 127.0.0.1:{port}; location / {{ uwsgi_pass app; }} }}
}}
""")
    return [[program, "-c", conf, "-p", directory]]


@contextlib.contextmanager
def running(server):
    """One server from start to stop; -> its port and the processes that were started."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        port = free_port()
        with open(directory / "console.log", "w") as console:
            # A group of processes, and not a session: Linux shares the processors among sessions first (autogroup), so
            # that servers would be compared by how they fare beside the load generator's.
            started = [subprocess.Popen(list(map(str, command)), cwd=directory, stdin=subprocess.DEVNULL, stdout=console,
                                        stderr=console, preexec_fn=os.setpgrp) for command in server(directory, port)]
        try:
            wait_until_it_serves(started[0], port, directory)
            yield port, started
        finally:
            stop(started)


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_until_it_serves(process, port, directory, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if b" 200 " in client.recv(64):
                    return
        except OSError:
            time.sleep(0.005)
    sys.exit(f"{' '.join(map(str, process.args))} does not serve:\n{(directory / 'console.log').read_text()}")


def processes(roots):
    """The living processes with these numbers and those below them, with their fields of /proc/PID/stat.

    The fields are those from the state on.
    """
    found, children = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        found[int(entry.name)] = fields
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    below = [pid for pid in roots if pid in found]
    for pid in below:
        yield pid, found[pid]
        below += children.get(pid, [])


def cpu_seconds(started):
    """User and system time of the server's processes, and of their children that have ended."""
    ticks = sum(sum(map(int, fields[11:15])) for _, fields in processes(process.pid for process in started))
    return ticks / os.sysconf("SC_CLK_TCK")


def stop(started):
    # Our supervisor has a group of its own.
    groups = {str(process.pid) for process in started} | {fields[2] for _, fields in processes(process.pid for process in started)}
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
    # What is left has lost its parent, and so is ours, but it is still in a group that was made for the server.
    for pid, fields in list(processes([os.getpid()])):
        if fields[2] in groups:
            os.kill(pid, signal.SIGKILL)
    for process in started:
        process.wait()
