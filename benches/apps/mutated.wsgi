"""Answers with a response that was changed at random: the query string is the seed, so that each exchange can be had
again."""

import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(__file__))
from frames import *

PLAIN = [(b"Content-Type", b"text/plain")]
SIZED = [(b"Content-Type", b"text/html; charset=utf-8"), (b"Content-Length", b"11"), (b"Set-Cookie", b"a=b; Path=/")]
COMPLETE, TRUNCATED, SHORT = (frame(END, bytes([how])) for how in range(3))
PASSED = [os.memfd_create("passed"), os.open(__file__, os.O_RDONLY), os.open("/", os.O_RDONLY), os.open("/dev/null", os.O_RDWR), os.pipe()[0],
          socket.socketpair()[0].detach()]
os.write(PASSED[0], b"x" * 300_000)
RECORD = frame(LOG, struct.pack("=BBII", 3, 1, os.getpid(), 1) + text(b"a record") + b"\0\0")

ANSWERS = [
    [head(200, SIZED, b"OK"), frame(DATA, b"hello world"), COMPLETE],
    [head(200, PLAIN), frame(DATA, b"one"), frame(DATA, b"two" * 1000), COMPLETE],
    [RECORD, head(404, PLAIN, b"Not Found"), frame(DATA, b"nothing"), RECORD, COMPLETE],
    [hints([(b"Link", b"</a.css>; rel=preload")]), head(200, PLAIN), frame(DATA, b"x"), SHORT],
    [head(200, PLAIN), file(0, 0, 300_000)[0], COMPLETE],
    [head(206, PLAIN), file(0, 10, 100, False)[0], frame(DATA, b"x"), TRUNCATED],
    [frame(PULL, struct.pack("=I", 1000)), frame(PULL, struct.pack("=I", 0)), head(204), COMPLETE],
    [frame(FAIL, struct.pack("=H", 503))],
    [frame(REJECT, b"\1")],
]


def mutate(chance, parts):
    parts = list(parts)
    for _ in range(chance.randrange(4)):
        if not parts:
            break
        at = chance.randrange(len(parts))
        data = bytearray(parts[at])
        kind = chance.randrange(7)
        if kind == 0:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del data[chance.randrange(len(data)):]
        elif kind == 2:
            data[0:4] = struct.pack("=I", chance.choice([0, 1, len(data) - 7, 1 << 16, 1 << 24, (1 << 24) + 1, (1 << 32) - 1]))
        elif kind == 3:
            data[4:5] = bytes([chance.randrange(60)])
        elif kind == 4:
            data[8 + chance.randrange(8):] = chance.randbytes(chance.randrange(40))
        elif kind == 5:
            parts.insert(chance.randrange(len(parts)), bytes(data))
        else:
            parts[at], parts[0] = parts[0], bytes(data)
            continue
        parts[at] = bytes(data)
    return [part for part in parts if part]


def application(environ, start_response):
    chance = random.Random(environ["QUERY_STRING"])
    connection, number = exchange(environ)
    parts = mutate(chance, [stamped(part, number) for part in chance.choice(ANSWERS)])
    with connection:
        connection.settimeout(5)
        try:
            for part in parts:
                # A file has its descriptor most of the time, other frames have one now and then.
                if (part[4:5] == bytes([FILE])) != (chance.random() < 0.1):
                    sent = socket.send_fds(connection, [part], [chance.choice(PASSED)] * chance.choice([1, 1, 1, 3]))
                    part = part[sent:]
                connection.sendall(part)
            connection.shutdown(chance.choice([socket.SHUT_RDWR, socket.SHUT_WR]))
        except OSError:
            # The Apache child has had enough.
            pass
    start_response("200 OK", [])
    return []
