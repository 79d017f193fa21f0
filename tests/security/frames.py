"""Speaks the wire's frames out of a plain WSGI application, as a hostile one would: no C, only the standard library.

A test copies this file beside its application. What it knows of the protocol is in wire/src/frame.rs and docs/architecture.md.
"""

import os
import socket
import stat
import struct

HELLO, ROUTE, REQUEST, BODY, BODY_END, BODY_ERROR = range(1, 7)
REJECT, PULL, LOG, HEAD, DATA, FILE, END, FAIL, EARLY_HINTS = range(16, 25)
READY, DRAINING, RETIRING, LOADED = range(48, 52)


def frame(kind, payload=b"", length=None):
    """A frame; `length` is what its header claims, the payload's own if that is not given."""
    return struct.pack("=IBBH", len(payload) if length is None else length, kind, 0, 0) + payload


def text(value):
    """A byte string as the wire has it: its length in front."""
    return struct.pack("=I", len(value)) + value


def connections():
    """The connections of this process to Apache children: connected unix stream sockets that are not the supervisor's."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        try:
            if fd <= 6 or not stat.S_ISSOCK(os.fstat(fd).st_mode):
                continue
            candidate = socket.socket(fileno=os.dup(fd))
        except OSError:
            continue
        try:
            candidate.getpeername()
            found.append(candidate)
        except OSError:
            candidate.close()
    return found


def control():
    """This process's channel to the supervisor."""
    return socket.socket(fileno=os.dup(3))
