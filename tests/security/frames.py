"""Speaks the wire's frames out of a plain WSGI application, as a hostile one would: no C, only the standard library.

A test copies this file beside its application. What it knows of the protocol is in wire/src/frame.rs and
docs/architecture.md.
"""

import os
import socket
import stat
import struct
import time

HELLO, ROUTE, REQUEST, BODY, BODY_END, BODY_ERROR = range(1, 7)
REJECT, PULL, LOG, HEAD, DATA, FILE, END, FAIL, EARLY_HINTS, ANSWER = range(16, 26)
RING, FILLED = range(29, 31)
READY, DRAINING, RETIRING, LOADED = range(48, 52)


def frame(kind, payload=b"", length=None):
    """A frame; `length` is what its header claims, the payload's own if that is not given."""
    return struct.pack("=IBBH", len(payload) if length is None else length, kind, 0, 0) + payload


def text(value):
    """A byte string as the wire has it: its length in front."""
    return struct.pack("=I", len(value)) + value


def descriptors():
    """The descriptors of this process's connections to Apache children: connected unix stream sockets that are not the
    supervisor's."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd <= 8 or not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            candidate = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        try:
            candidate.getpeername()
        except OSError:
            candidate.close()
            continue
        # The socket for records, which is the supervisor's too, keeps the boundaries of messages.
        with candidate:
            if candidate.type == socket.SOCK_STREAM:
                yield fd


def connections():
    """The connections themselves."""
    return [socket.socket(fileno=os.dup(fd)) for fd in descriptors()]


def exchange(environ):
    """The connection that has brought this request, and the number that its frames carry. The engine shows both: for a
    moment there are other sockets in the place of all connections, and it sends a hint, or, where there is no
    application but a script that is asked, a record."""
    places = [(fd, os.dup(fd), *socket.socketpair()) for fd in descriptors()]
    try:
        for fd, _, _, shown in places:
            os.dup2(shown.fileno(), fd, inheritable=False)
        if "wsgi.early_hints" in environ:
            environ["wsgi.early_hints"]([("Link", "</x>")])
        else:
            print("shown", file=environ["wsgi.errors"], flush=True)
    finally:
        for fd, kept, _, _ in places:
            os.dup2(kept, fd, inheritable=False)
    found = None
    for _, kept, seen, shown in places:
        seen.setblocking(False)
        with seen, shown:
            try:
                number = struct.unpack("=H", seen.recv(8)[6:])[0]
                found = socket.socket(fileno=os.dup(kept)), number
            except BlockingIOError:
                pass
        os.close(kept)
    if found is None:
        raise RuntimeError("no connection has brought this request")
    return found


def stamped(data, number):
    """A frame with the number of an exchange."""
    return data[:6] + struct.pack("=H", number) + data[8:]


def control():
    """This process's channel to the supervisor."""
    return socket.socket(fileno=os.dup(3))


def head(status, headers=(), reason=b""):
    """A `Head` frame."""
    return frame(HEAD, struct.pack("=H", status) + text(reason) + lines(headers))


def hints(headers):
    """An `EarlyHints` frame."""
    return frame(EARLY_HINTS, lines(headers))


def lines(headers):
    """Header lines as `Head` and `EarlyHints` have them."""
    return struct.pack("=H", len(headers)) + b"".join(text(part) for header in headers for part in header)


def file(fd, offset, length, whole=True):
    """A `File` frame with the descriptor that belongs to it, for `answer`."""
    return frame(FILE, struct.pack("=QQB", offset, length, whole)), fd


def log(message, level=3, stream=3, pid=1, thread=1):
    """A `Log` frame that claims to be of this process and thread."""
    return frame(LOG, struct.pack("=BBII", level, stream, pid, thread) + text(message) + b"\0\0")


def answer(environ, *parts):
    """Answers in the engine's place on the connection that has brought the request, and leaves nothing of it to the
    engine.

    A part is a frame, a frame with its descriptor, or a pause in seconds.
    """
    connection, number = exchange(environ)
    with connection:
        try:
            for part in parts:
                if isinstance(part, float):
                    time.sleep(part)
                    continue
                data, fd = part if isinstance(part, tuple) else (part, None)
                data = stamped(data, number)
                if fd is not None:
                    socket.send_fds(connection, [data[:1]], [fd])
                    data = data[1:]
                connection.sendall(data)
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The Apache child has refused it and closed the connection.
            pass
