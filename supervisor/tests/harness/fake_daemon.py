# Stands in for an interpreter with an engine: speaks the control protocol, leaves a file that tells how it was started.
import json, os, resource, select, signal, socket, struct, sys, time

START, DRAIN, RESUME, READY, DRAINING, RETIRING = 40, 41, 42, 48, 49, 50
GRACEFUL_SIGNAL, SCRIPT_RELOAD = 1, 10

control = socket.socket(fileno=3)
listener = socket.socket(fileno=4)


def receive():
    header = control.recv(8, socket.MSG_WAITALL)
    if len(header) < 8:
        while os.environ.get("BEHAVIOUR") == "loyal":  # serves without a supervisor
            time.sleep(60)
        sys.exit(0)
    return header[4], control.recv(struct.unpack("=I", header[:4])[0], socket.MSG_WAITALL)


def send(kind, payload=b""):
    control.sendall(struct.pack("=IBBH", len(payload), kind, 0, 0) + payload)


kind, settings = receive()
assert kind == START
umask = os.umask(0)
os.umask(umask)
facts = {
    "arguments": sys.argv[1:],
    "cwd": os.getcwd(),
    "environment": dict(os.environ),
    "socket": listener.getsockname(),
    "descriptors": sorted(int(fd) for fd in os.listdir("/proc/self/fd")),
    "umask": umask,
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "settings": settings.hex(),
    # A shell that wraps the interpreter, as pyenv does, lets SIGCHLD through: nothing is said of it.
    "blocked": "%016x" % next(int(line.split()[1], 16) | 1 << 16 for line in open("/proc/self/status") if line.startswith("SigBlk")),
    "ignored": next(line.split()[1] for line in open("/proc/self/status") if line.startswith("SigIgn")),
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
}
behaviour = os.environ.get("BEHAVIOUR", "")
directory = os.environ["FACTS"]
with open(f"{directory}/{os.getpid()}.new", "w") as file:
    json.dump(facts, file)
os.rename(f"{directory}/{os.getpid()}.new", f"{directory}/{os.getpid()}")
if behaviour == "fail":
    sys.exit(3)
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, lambda *_: send(DRAINING, bytes([GRACEFUL_SIGNAL])))
signal.signal(signal.SIGUSR2, lambda *_: send(RETIRING, bytes([GRACEFUL_SIGNAL, 0])))
signal.signal(signal.SIGHUP, lambda *_: send(RETIRING, bytes([SCRIPT_RELOAD, 1])))
signal.pthread_sigmask(signal.SIG_SETMASK, [])  # as the engine does once it has its handlers
if behaviour == "forks" and not os.path.exists(f"{directory}/../left"):
    # Twice, as a program that becomes a daemon does; and it does not listen to SIGTERM.
    if os.fork() == 0:
        os.setsid()
        if (left := os.fork()) == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.closerange(3, 100)
            time.sleep(600)
        with open(f"{directory}/../left.new", "w") as file:
            file.write(str(left))
        os.rename(f"{directory}/../left.new", f"{directory}/../left")
        os._exit(0)
    os.wait()
while behaviour == "held" and not os.path.exists(f"{directory}/../released"):
    time.sleep(0.01)
failures = [7] if os.path.exists(f"{directory}/../broken") else []
# Before it is seen to be ready: then a test may kill the supervisor, which reads this.
print("ready", flush=True)
# Its imports are done, and it speaks WSGI.
send(READY, struct.pack(f"=I{len(failures)}QB", len(failures), *failures, 0))
while True:
    kind, payload = receive()
    if kind == RESUME:
        print(f"{os.getpid()} resumes", flush=True)
    if kind == DRAIN:
        time.sleep(0.3)
        sys.exit(0)
