#!/usr/bin/env python3
"""From ``start-server`` to the first answer of a fresh Django project, beside what Python alone needs for loading it.

usage: benches/startup.py [ROUNDS]       (run by the Python of the environment that has the product and Django)

Prints the medians, and whether the first answer comes within 1.15 times the loading plus 250 milliseconds.
"""

import http.client
import os
import pathlib
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAMS = pathlib.Path(sys.executable).parent
SETTINGS = "ALLOWED_HOSTS = ['*']\nINSTALLED_APPS += ['mod_wsgi.express']\nSTATIC_ROOT = BASE_DIR / 'static'\n"
FACTOR, ALLOWANCE = 1.15, 0.250


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def project(place):
    """A fresh project, which belongs to the user that serves it."""
    subprocess.run([PROGRAMS / "django-admin", "startproject", "mysite", place], check=True)
    with open(place / "mysite/settings.py", "a") as settings:
        settings.write(SETTINGS)
    subprocess.run([sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"], cwd=place, check=True)


def loading(place):
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import mysite.wsgi"], cwd=place, check=True)
    return time.perf_counter() - begin


def first_answer(place, command, root):
    """Seconds until the first answer. Root's server root has to be root's."""
    port = free_port()
    words = ["--host", "127.0.0.1", "--port", str(port), "--server-root", root]
    if os.getuid() == 0:
        words += ["--user", "www-data", "--group", "www-data"]
    begin = time.perf_counter()
    server = subprocess.Popen([*command, *words], cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                client.request("GET", "/")
                status = client.getresponse().status
            except ConnectionError:
                if server.poll() is not None:
                    sys.exit(f"{command} has ended with exit code {server.returncode}")
                time.sleep(0.002)
                continue
            finally:
                client.close()
            if status != 200:
                sys.exit(f"{command}: the first answer is {status}")
            return time.perf_counter() - begin
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
        shutil.rmtree(root, ignore_errors=True)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as project_directory, tempfile.TemporaryDirectory() as roots:
        os.chmod(roots, 0o711)
        place = pathlib.Path(project_directory)
        place.chmod(0o755)
        project(place)
        if os.getuid() == 0:
            user = pwd.getpwnam("www-data")
            for path in [place, *place.rglob("*")]:
                os.chown(path, user.pw_uid, user.pw_gid)
        commands = {
            "start-server mysite.wsgi": [PROGRAMS / "mod_wsgi-express", "start-server", "mysite.wsgi"],
            "manage.py runmodwsgi": [sys.executable, "manage.py", "runmodwsgi"],
        }
        times = {name: [] for name in ["python -c 'import mysite.wsgi'", *commands]}
        loaded = times["python -c 'import mysite.wsgi'"]
        for _ in range(rounds):
            # In turns, so that whatever else the machine does falls on all.
            loaded.append(loading(place))
            for name, command in commands.items():
                times[name].append(first_answer(place, command, f"{roots}/root"))
    allowed = FACTOR * statistics.median(loaded) + ALLOWANCE
    for name, seconds in times.items():
        print(f"{name:30} {statistics.median(seconds) * 1000:6.0f} ms  (least {min(seconds) * 1000:.0f})")
    print(f"{'allowed':30} {allowed * 1000:6.0f} ms")
    sys.exit(statistics.median(times["start-server mysite.wsgi"]) > allowed)


if __name__ == "__main__":
    main()
