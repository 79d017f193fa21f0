//! Whatever frames an application sends, one request gets one response, and the next request its own.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::{Answer, Builder, Httpd, Role, Site, eventually};

/// Answers with what its page says, written to the connection itself.
const FORGER: &str = r#"
import ctypes, fcntl, mmap, os, socket, struct, sys, tempfile, threading, time
sys.path.insert(0, os.path.dirname(__file__))
from frames import *

SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPWNED!"
PLAIN = [(b"Content-Type", b"text/plain")]
COMPLETE, TRUNCATED, SHORT = (frame(END, bytes([how])) for how in range(3))

def whole(headers, *content):
    return [head(200, headers), *content, COMPLETE]

def length(value):
    return [(b"Content-Type", b"text/plain"), (b"Content-Length", value)]

def fails(status):
    return [frame(FAIL, struct.pack("=H", status))]

def data(content):
    return frame(DATA, content)

def memory(size=100_000):
    fd = os.memfd_create("forged", os.MFD_ALLOW_SEALING)
    os.write(fd, b"x" * size)
    return fd

def disk(flags, size=100_000):
    path = os.path.join(tempfile.mkdtemp(), "file")
    with open(path, "wb") as made:
        made.write(b"x" * size)
    return os.open(path, flags)

def file_of(fd, size=100_000, offset=0):
    return [head(200, PLAIN), file(fd, offset, size), COMPLETE]

HEADS = {
    "reason": lambda: [head(200, PLAIN, b"OK\r\n\r\n" + SECOND), data(b"x"), COMPLETE],
    "name": lambda: whole([(b"X: y\r\n\r\n" + SECOND, b"z")], data(b"x")),
    "space": lambda: whole([(b"X Y", b"z")], data(b"x")),
    "no-name": lambda: whole([(b"", b"z")], data(b"x")),
    "value": lambda: whole([(b"X", b"y\r\n\r\n" + SECOND)], data(b"x")),
    "nul": lambda: whole([(b"X", b"y\0z")], data(b"x")),
    "type": lambda: whole([(b"Content-Type", b"text/plain\r\n\r\n" + SECOND)], data(b"x")),
    "plus": lambda: whole(length(b"+0 "), data(b"")),
    "two-lengths": lambda: whole(length(b"1") + length(b"200"), data(b"x")),
    "one-length-twice": lambda: whole(length(b"1") + length(b"1"), data(b"x")),
    "list": lambda: whole(length(b"1, 1"), data(b"x")),
    "interim": lambda: [head(101, [(b"Upgrade", b"x")]), COMPLETE],
    "continue": lambda: [head(100), COMPLETE],
    "status": lambda: [head(1000), COMPLETE],
    **{f"fail-{status}": (lambda status=status: fails(status)) for status in (0, 100, 101, 200, 204, 304, 399, 600, 65535)},
    "hint-value": lambda: [hints([(b"Link", b"a\r\n\r\n" + SECOND)]), *whole(PLAIN, data(b"x"))],
    "hint-name": lambda: [hints([(b"Link: a\r\n\r\n" + SECOND, b"b")]), *whole(PLAIN, data(b"x"))],
    "many-hints": lambda: [hints([(b"Link", b"a")])] * 33 + whole(PLAIN, data(b"x")),
    "long-hints": lambda: [hints([(b"Link", b"a")]), hints([(b"Link", b"b" * 65_530)]), *whole(PLAIN, data(b"x"))],
    "huge-hints": lambda: [hints([(b"Link", b"b" * 1_000_000)])] * 300,
    "no-head": lambda: [data(b"x"), COMPLETE],
    "reject": lambda: [hints([(b"Link", b"a")]), frame(REJECT, b"\1")],
    "long-frame": lambda: [frame(HEAD, b"", 1 << 24)],
}
LENGTHS = {
    "one-piece": lambda: whole(length(b"4"), data(b"four" + SECOND)),
    "two-pieces": lambda: whole(length(b"4"), data(b"four"), data(SECOND)),
    "later": lambda: [head(200, length(b"4")), data(b"four"), 0.2, data(SECOND), COMPLETE],
    "nothing": lambda: whole(length(b"0"), data(SECOND)),
    "file": lambda: [head(200, length(b"4")), data(b"four"), file(memory(), 0, 50, False), COMPLETE],
    "whole-file": lambda: [head(200, length(b"4")), file(memory(), 0, 50_000), COMPLETE],
    "file-behind": lambda: [head(200, PLAIN), data(b"four"), file(memory(), 0, 50_000), COMPLETE],
    "behind-a-file": lambda: [head(200, PLAIN), file(memory(), 0, 4), data(SECOND), COMPLETE],
    "too-short": lambda: whole(length(b"400"), data(b"four")),
    "too-short-file": lambda: [head(200, length(b"400000")), file(memory(), 0, 100_000), COMPLETE],
}
BODILESS = {
    "204": lambda: [head(204), data(SECOND), COMPLETE],
    "204-length": lambda: [head(204, length(b"%d" % len(SECOND))), data(SECOND), COMPLETE],
    "204-file": lambda: [head(204), file(memory(), 0, 50_000), COMPLETE],
    "304": lambda: [head(304, length(b"%d" % len(SECOND))), data(SECOND), COMPLETE],
}
FILES = {
    "eventfd": lambda: file_of(os.eventfd(1), 8),
    "eventfd-large": lambda: file_of(os.eventfd(0), 1 << 20),
    "pipe": lambda: file_of(os.pipe()[0], 8),
    "directory": lambda: file_of(os.open("/", os.O_RDONLY), 8),
    "path": lambda: file_of(disk(os.O_PATH)),
    "writable": lambda: file_of(disk(os.O_WRONLY)),
    "device": lambda: file_of(os.open("/dev/zero", os.O_RDONLY)),
    "huge": lambda: file_of(memory(), (1 << 63) - 1),
    "behind": lambda: file_of(memory(), 10, 1 << 40),
    "wrapped": lambda: file_of(memory(), (1 << 64) - 1, 2),
    "small-behind": lambda: file_of(memory(), 100, 99_990),
    "no-descriptor": lambda: [head(200, PLAIN), frame(FILE, struct.pack("=QQB", 0, 8, True)), COMPLETE],
}

ROOM = 1 << 20
F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE = 2, 4, 8

def shared(size=4096 + ROOM, seals=F_SEAL_SHRINK | F_SEAL_GROW):
    fd = os.memfd_create("forged", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, 1033, seals)
    return fd

def ring(fd):
    return frame(RING), fd

def filled(length):
    return frame(FILLED, struct.pack("=I", length))

def offers(fd):
    return [head(200, PLAIN), ring(fd), filled(4), COMPLETE]

def fills(length):
    return [head(200, PLAIN), ring(shared()), length, COMPLETE]

RINGS = {
    "unsealed": lambda: offers(shared(seals=0)),
    "may-shrink": lambda: offers(shared(seals=F_SEAL_GROW)),
    "may-grow": lambda: offers(shared(seals=F_SEAL_SHRINK)),
    "final": lambda: offers(shared(seals=F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)),
    "short": lambda: offers(shared(ROOM)),
    "long": lambda: offers(shared(2 * ROOM)),
    "read-only": lambda: offers(os.open(f"/proc/self/fd/{shared()}", os.O_RDONLY)),
    "disk": lambda: offers(disk(os.O_RDWR, 4096 + ROOM)),
    "pipe": lambda: offers(os.pipe()[0]),
    "socket": lambda: offers(socket.socketpair()[0].detach()),
    "no-descriptor": lambda: [head(200, PLAIN), frame(RING), filled(4), COMPLETE],
    "two": lambda: [head(200, PLAIN), ring(shared()), ring(shared()), filled(4), COMPLETE],
    "none": lambda: [head(200, PLAIN), filled(4), COMPLETE],
    "no-head": lambda: [ring(shared()), filled(4), COMPLETE],
    "nothing": lambda: fills(filled(0)),
    "too-much": lambda: fills(filled(ROOM + 1)),
    "most": lambda: fills(filled((1 << 32) - 1)),
    "no-length": lambda: fills(frame(FILLED, b"\0")),
    "overlong": lambda: [head(200, length(b"4")), ring(shared()), filled(50_000), COMPLETE],
}

def restless(environ, start):
    """Changes content, and takes its memory away, while it is on its way; from 0 on the counts, too."""
    fd, over = shared(), threading.Event()
    memory, punch = mmap.mmap(fd, 4096 + ROOM), ctypes.CDLL(None).fallocate
    punch.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]

    def change():
        while not over.is_set():
            memory[start:] = os.urandom(len(memory) - start)
            # FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
            punch(fd, 3, start, len(memory) - start)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        answer(environ, head(200, length(b"%d" % (8 * ROOM))), ring(fd), *[filled(ROOM // 2)] * 16, COMPLETE)
    finally:
        over.set()
        changing.join()

def cut(fd, environ):
    """Waits until a part of a file is on its way, then shortens it."""
    time.sleep(0.3)
    os.ftruncate(fd, 1000)
    place, headers = environ["QUERY_STRING"], int("HTTP_ACCEPT_ENCODING" in environ)
    os.write(2, f"{place} {headers} is short\n".encode())

def shortened(environ, start_response):
    size, wrapped = 4 << 30, environ["QUERY_STRING"] == "wrapped"
    fd = os.memfd_create("cut") if environ["QUERY_STRING"] == "memory" else disk(os.O_RDWR)
    os.ftruncate(fd, size)
    if not wrapped:
        answer(environ, head(200, PLAIN), file(fd, 0, size), COMPLETE)
        return cut(fd, environ)
    # An honest application whose file somebody else shortens.
    threading.Thread(target=cut, args=(fd, environ)).start()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](open(fd, "rb", closefd=False))

def flood(environ):
    """Files without end, each by a descriptor of its own, for a client that takes none of them."""
    fd, sent = memory(20_000), 0
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, 15) if environ["QUERY_STRING"] == "sealed" else None
    piece, fd = file(fd, 0, 20_000, False)
    connection, number = exchange(environ)
    connection.settimeout(2)
    if environ["QUERY_STRING"] == "unasked":
        piece = data(b"x")
    try:
        connection.sendall(stamped(head(200, PLAIN), number))
        while sent < 3000:
            socket.send_fds(connection, [stamped(piece, number)], [fd])
            sent += 1
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()
    os.write(2, f"flood {environ['QUERY_STRING']} is over\n".encode())

def behind(connection, answer):
    """Answers a request that has not come yet: once the engine has ended its own answer and everybody has read that."""
    time.sleep(0.3)
    connection.sendall(answer)
    os.write(2, b"the answer lies there\n")

waiting = threading.Barrier(24)

def announce():
    """Announces on all connections at once what never comes: the longest frame that is not refused at once."""
    if waiting.wait(20) == 0:
        for connection in connections():
            connection.sendall(frame(HEAD, b"", 1 << 20))
        os.write(2, b"all is announced\n")
    time.sleep(2)
    os._exit(0)

def application(environ, start_response):
    _, kind, page = environ["PATH_INFO"].split("/")
    if kind == "honest":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(os.getpid()).encode()]
    if kind == "pulled":
        connection, number = exchange(environ)
        connection.sendall(stamped(frame(PULL, struct.pack("=I", 1000)), number))
        connection.recv(64 << 10)
        answer(environ, frame(REJECT, b"\1"))
    elif kind == "shortened":
        wrapper = shortened(environ, start_response)
        if wrapper:
            return wrapper
    elif kind == "more":
        connection, number = exchange(environ)
        frames = [*whole(length(b"4"), data(b"four")), *whole(PLAIN, data(b"forged"))]
        # In one piece, so that all of it is there when the first answer ends.
        connection.sendall(b"".join(stamped(part, number) for part in frames))
        connection.shutdown(socket.SHUT_RDWR)
    elif kind == "late":
        connection, number = exchange(environ)
        parts = [stamped(part, number + int(page) & 65535) for part in whole(PLAIN, data(b"forged"))]
        threading.Thread(target=behind, args=(connection, b"".join(parts))).start()
    elif kind == "endless":
        fd, headers = memory(), [(b"Location", b"/honest/")] if page == "redirect" else PLAIN
        os.ftruncate(fd, 1 << 60)
        answer(environ, head(int(page) if page.isdigit() else 200, headers), file(fd, 0, 1 << 60, False), COMPLETE)
        os.write(2, f"endless {page} {environ['QUERY_STRING']} is over\n".encode())
    elif kind == "announce":
        announce()
    elif kind == "flood":
        flood(environ)
    elif kind == "restless":
        restless(environ, 0 if page == "counts" else 4096)
    else:
        parts = {"heads": HEADS, "lengths": LENGTHS, "bodiless": BODILESS, "files": FILES, "rings": RINGS}[kind][page]()
        answer(environ, *parts)
    start_response("200 OK", [])
    return []
"#;

fn builder() -> Builder {
    Httpd::site("processes=1 threads=1 queue-timeout=20", FORGER).app("frames.py", include_str!("frames.py"))
}

fn site() -> Httpd {
    builder().conf("AddOutputFilterByType DEFLATE text/plain").start()
}

/// The names of a table of attacks.
fn pages(table: &str) -> Vec<String> {
    let mut lines = FORGER.lines().skip_while(|line| *line != format!("{table} = {{")).skip(1);
    let mut names = Vec::new();
    for line in lines.by_ref().take_while(|line| *line != "}") {
        match line.trim().strip_prefix('"') {
            Some(rest) => names.push(rest.split('"').next().expect("a name").to_owned()),
            None => names.extend([0, 100, 101, 200, 204, 304, 399, 600, 65_535].map(|status| format!("fail-{status}"))),
        }
    }
    assert!(names.len() > 3, "{table}: {names:?}");
    names
}

/// Sends a request, and gives its answer and whatever else comes before the connection ends.
fn exchange(site: &Httpd, path: &str, headers: &[&str]) -> (Option<Answer>, Vec<u8>) {
    let mut client = site.client();
    client.send_head("GET", path, headers).expect("sent");
    let answer = client.answer("GET").ok();
    // A request of our own that the server answers only if it keeps the connection, and then first. It can be faster
    // than the application, which closes its own connection when it has answered.
    site.log.expect(&["WSGI1026: "]);
    let follows = client.send_head("GET", "/honest/", &["Connection: close"]);
    drop(follows);
    (answer, client.rest())
}

fn children(site: &Httpd) -> BTreeSet<u32> {
    assert_eq!(site.get("/honest/").status, 200);
    site.census().iter().filter(|member| member.role == Role::Child).map(|member| member.pid).collect()
}

/// What a connection has after an answer: nothing, or the answer to our own next request.
fn assert_clean(page: &str, rest: &[u8]) {
    let rest = String::from_utf8_lossy(rest);
    assert!(!rest.contains("PWNED"), "{page}: {rest}");
    assert!(rest.is_empty() || rest.matches("HTTP/1.1 ").count() == 1, "{page}: {rest}");
}

#[test]
fn a_head_that_would_be_another_response_is_a_502_of_apaches() {
    let site = site();
    for page in pages("HEADS") {
        let (answer, rest) = exchange(&site, &format!("/heads/{page}"), &[]);
        let answer = answer.unwrap_or_else(|| panic!("{page}: no answer"));
        assert_eq!((answer.status, answer.complete), (502, true), "{page}: {answer:?}");
        assert!(answer.hints.iter().all(|(_, value)| value == "a"), "{page}: {answer:?}");
        assert!(!answer.text().contains("PWNED"), "{page}: {answer:?}");
        assert_clean(&page, &rest);
    }
    let records = site.log.records_with("WSGI1029: the answer is refused");
    assert_eq!(records.len(), pages("HEADS").len(), "each is logged once: {records:#?}");
    site.finish();
}

#[test]
fn a_response_has_the_length_that_it_announces_or_is_not_whole() {
    let site = site();
    site.log.expect(&["WSGI1029: the answer is refused"]);
    for page in pages("LENGTHS") {
        for headers in [&[][..], &["Accept-Encoding: gzip"]] {
            let (answer, rest) = exchange(&site, &format!("/lengths/{page}"), headers);
            assert_clean(&page, &rest);
            if let Some(answer) = answer {
                // What was sent before there was too much cannot be taken back, and is what was announced.
                let first_piece_alone = ["two-pieces", "later", "file", "behind-a-file"].contains(&&*page)
                    && ["four", "xxxx"].contains(&&*answer.text());
                assert!(!answer.text().contains("PWNED"), "{page}: {answer:?}");
                assert!(
                    answer.status == 502 || !answer.complete || first_piece_alone && rest.is_empty(),
                    "{page} {headers:?}: {answer:?} {rest:?}"
                );
            }
        }
    }
    site.finish();
}

#[test]
fn a_response_without_content_has_none() {
    let site = site();
    for page in pages("BODILESS") {
        let (answer, rest) = exchange(&site, &format!("/bodiless/{page}"), &[]);
        let answer = answer.unwrap_or_else(|| panic!("{page}: no answer"));
        assert_eq!(answer.status.to_string(), page[..3], "{page}");
        assert!(page.starts_with("304") || answer.all("Content-Length").is_empty(), "{page}: {answer:?}");
        assert_clean(&page, &rest);
        assert!(!rest.is_empty(), "{page}: the connection carries another request");
    }
    site.finish();
}

#[test]
fn a_file_without_end_keeps_nobody_where_no_content_is_sent() {
    let site = site();
    // Where a redirect's own request is faster than the application, which then closes its connection.
    site.log.expect(&["WSGI1026: "]);
    for (method, page) in [("HEAD", "200"), ("GET", "204"), ("GET", "304"), ("GET", "redirect")] {
        for headers in [&[][..], &["Accept-Encoding: gzip"]] {
            let mut client = site.client();
            let turn = headers.len();
            client.send_head(method, &format!("/endless/{page}?{turn}"), headers).expect("sent");
            let answer = client.answer(method).expect("an answer");
            assert!(page == "redirect" || answer.status.to_string() == page, "{method} {page}: {answer:?}");
            // The application closes its connection when it has answered: what comes over that until then is lost.
            site.log.wait_for(&format!("endless {page} {turn} is over"));
            // Who reads the file would not come to this.
            client.send_head("GET", "/honest/", &[]).expect("sent");
            assert_eq!(client.answer("GET").expect("an answer").status, 200, "{method} {page} {headers:?}");
        }
    }
    site.finish();
}

#[test]
fn only_files_that_can_be_read_at_once_are_taken() {
    let site = site();
    let before = children(&site);
    for page in pages("FILES") {
        let (answer, rest) = exchange(&site, &format!("/files/{page}"), &[]);
        let answer = answer.unwrap_or_else(|| panic!("{page}: no answer"));
        assert_eq!(answer.status, 502, "{page}: {answer:?}");
        assert_clean(&page, &rest);
    }
    assert_eq!(children(&site), before, "no child has ended");
    assert_eq!(site.log.records_with("WSGI1029: the answer is refused").len(), pages("FILES").len());
    site.finish();
}

#[test]
fn only_memory_that_cannot_end_a_child_is_shared_and_content_lies_within_it() {
    let site = site();
    let before = children(&site);
    for page in pages("RINGS") {
        let (answer, rest) = exchange(&site, &format!("/rings/{page}"), &[]);
        let answer = answer.unwrap_or_else(|| panic!("{page}: no answer"));
        assert_eq!(answer.status, 502, "{page}: {answer:?}");
        assert_clean(&page, &rest);
    }
    assert_eq!(children(&site), before, "no child has ended");
    assert_eq!(site.log.records_with("WSGI1029: the answer is refused").len(), pages("RINGS").len());
    site.finish();
}

#[test]
fn content_that_changes_on_its_way_is_as_long_as_it_was_said_to_be_and_nobody_elses() {
    let site = site();
    let before = children(&site);
    // As it is, and through a filter.
    for headers in [&[][..], &["Accept-Encoding: gzip"]] {
        let mut client = site.client();
        client.send_head("GET", "/restless/", headers).expect("sent");
        let answer = client.answer("GET").expect("an answer");
        assert!(answer.status == 200 && answer.complete, "{headers:?}: {} bytes", answer.body.len());
        assert!(!headers.is_empty() || answer.body.len() == 8 << 20, "{} bytes", answer.body.len());
        client.send_head("GET", "/honest/", &[]).expect("sent");
        assert_eq!(client.answer("GET").expect("an answer").status, 200);
    }
    assert_eq!(children(&site), before, "no child has ended");
    site.finish();
}

#[test]
fn memory_whose_counts_change_is_of_use_to_nobody_and_harms_nobody() {
    let site = site();
    site.log.expect(&["WSGI1029: "]);
    let before = children(&site);
    for headers in [&[][..], &["Accept-Encoding: gzip"]] {
        for _ in 0..3 {
            let mut client = site.client();
            client.send_head("GET", "/restless/counts", headers).expect("sent");
            // Whatever it gets, it is told if that is not whole.
            let whole = client.answer("GET").is_ok_and(|answer| answer.complete && answer.status == 200);
            let mut next = if whole { client } else { site.client() };
            next.send_head("GET", "/honest/", &[]).expect("sent");
            assert_eq!(next.answer("GET").expect("an answer").status, 200);
        }
    }
    assert_eq!(children(&site), before, "no child has ended");
    site.finish();
}

#[test]
fn what_an_application_writes_behind_its_answer_answers_no_other_request() {
    for later in [0, 1, 65_535] {
        let site = builder().start();
        let _ = site.get(&format!("/late/{later}"));
        site.log.wait_for("the answer lies there");
        let next = site.get("/honest/");
        assert_eq!(next.status, 502, "{}", next.text());
        site.log.wait_for("WSGI1029: …that is no part of this exchange");
        assert_eq!(site.get("/honest/").status, 200, "the connection has ended with it");
        site.finish();
    }
    let site = builder().start();
    assert_eq!(site.get("/more/").text(), "four");
    site.log.wait_for("WSGI1405: ");
    assert_eq!(site.get("/honest/").status, 200);
    site.finish();
}

/// Asks for a file that is shortened while it is sent, and checks that this client can tell and nobody else does.
fn check_shortened(site: &Httpd, place: &str, headers: &[&str]) {
    let mut client = site.client();
    client.send_head("GET", &format!("/shortened/?{place}"), headers).expect("sent");
    client.read(1).expect("the answer begins");
    // The client is slow: the rest is read when the file is short already. Its application tells when that is so.
    site.log.wait_for(&format!("{place} {} is short", headers.len()));
    let rest = client.rest();
    assert!(rest.len() < 1 << 30, "{place} {headers:?}: {} bytes", rest.len());
    assert!(!rest.ends_with(b"0\r\n\r\n"), "{place} {headers:?}: it looks whole");
    assert_eq!(site.get("/honest/").status, 200, "{place} {headers:?}");
}

#[test]
fn a_file_that_is_shortened_cuts_its_response_and_nothing_else() {
    let site = site();
    let before = children(&site);
    for place in ["memory", "disk", "wrapped"] {
        for headers in [&[][..], &["Accept-Encoding: gzip"]] {
            check_shortened(&site, place, headers);
        }
    }
    assert_eq!(children(&site), before, "no child has ended");
    let records = site.log.records_with("WSGI1031: ");
    assert_eq!(records.len(), 6, "each is logged once: {records:#?}");
    site.finish();
}

#[test]
fn a_file_that_is_shortened_while_sendfile_has_it_is_no_end_either() {
    let site = builder().conf("EnableSendfile On\nWSGIEnableSendfile On").start();
    let before = children(&site);
    for place in ["memory", "disk", "wrapped"] {
        check_shortened(&site, place, &[]);
    }
    assert_eq!(children(&site), before, "no child has ended");
    site.finish();
}

#[test]
fn what_is_announced_costs_nothing_before_it_comes() {
    let site = Httpd::site("processes=1 threads=24", FORGER).app("frames.py", include_str!("frames.py")).start();
    // The process ends by itself. Where that is before Apache has seen that the clients are gone, it tells of each.
    site.log.expect(&["WSGI1307: …ended with exit code", "WSGI1026: "]);
    children(&site);
    let resident = || site.census().iter().filter(|m| m.role == Role::Child).map(|child| child.resident).sum::<u64>();
    let before = resident();
    let clients: Vec<_> = (0..24)
        .map(|_| {
            let mut client = site.client();
            client.send_head("GET", "/announce/", &[]).expect("sent");
            client
        })
        .collect();
    site.log.wait_for("all is announced");
    // It would be taken at once, or when a part of it is there, which is never.
    let mut most = 0;
    eventually(Duration::from_millis(500), || {
        most = most.max(resident());
        None::<()>
    });
    assert!(most < before + 12 * 1024, "{before} KiB became {most} KiB");
    drop(clients);
    site.finish();
}

#[test]
fn files_that_wait_for_a_slow_client_and_descriptors_of_no_file_are_few() {
    let site = builder().start();
    site.log.expect(&["flood ", "WSGI1029: the answer is refused"]);
    let open = || site.census().iter().filter(|member| member.role == Role::Child).map(|child| child.open()).max();
    children(&site);
    let before = open().expect("a child");
    for kind in ["files", "sealed", "unasked"] {
        let mut client = site.client();
        client.send_head("GET", &format!("/flood/?{kind}"), &[]).expect("sent");
        client.read(1).expect("the answer begins");
        // What the client does not take is kept, as content; the application gives up when nobody takes a file for two
        // seconds.
        let mut most = 0;
        let over = format!("flood {kind} is over");
        let ended = eventually(Duration::from_secs(20), || {
            most = most.max(open().expect("a child"));
            site.log.text().contains(&over).then_some(())
        });
        assert!(ended.is_some(), "{kind}: the application goes on");
        assert!(most < before + 60, "{kind}: {before} descriptors became {most}");
        drop(client);
    }
    site.finish();
}

#[test]
fn a_request_whose_body_was_asked_for_is_given_to_no_other_process() {
    let site = site();
    let body = vec![b'x'; 100_000];
    let answer = site.request("POST", "/pulled/", &[], &body);
    assert_eq!(answer.status, 502);
    assert_eq!(site.log.records_with("WSGI1029: the answer is refused").len(), 1);
    site.finish();
}
