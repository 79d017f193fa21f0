//! `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").

use harness::{Httpd, MODES, Site};

#[test]
fn a_file_wrapper_sends_the_rest_of_a_file() {
    let site = Httpd::site(
        "threads=2",
        r#"
import io, os
class Upper:
    def __init__(self, file):
        self.file = file
    def read(self, size):
        return self.file.read(size).upper()

def application(environ, start_response):
    wrap, path = environ["wsgi.file_wrapper"], os.path.join(os.path.dirname(__file__), "data.txt")
    start_response("200 OK", [("Content-Type", "text/plain")])
    file = open(path, "rb")
    if environ["PATH_INFO"] == "/rest":
        file.seek(4)
    if environ["PATH_INFO"] == "/object":
        return wrap(Upper(file), 3)
    if environ["PATH_INFO"] == "/memory":
        return wrap(io.BytesIO(b"memory"))
    return wrap(file)
"#,
    )
    .app("data.txt", "one two three")
    .start();
    let mut client = site.client();
    let mut get = |path: &str| client.exchange("GET", path, &[], b"").expect("an answer");
    let whole = get("/whole");
    assert_eq!(
        (whole.text().as_str(), whole.all("Content-Length"), whole.complete),
        ("one two three", vec!["13"], true)
    );
    assert_eq!(get("/rest").text(), "two three");
    assert_eq!(get("/object").text(), "ONE TWO THREE");
    assert_eq!(get("/memory").text(), "memory");
    site.finish();
}

#[test]
fn apache_answers_ranges_of_a_file_and_of_nothing_else() {
    let site = Httpd::both_modes(
        "threads=2",
        r#"
import os, tempfile
content = bytes(range(256)) * 300
file = tempfile.TemporaryFile()
file.write(content)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", "76700")])
    if environ["PATH_INFO"] == "/list":
        return [content]
    file.seek(100)
    return environ["wsgi.file_wrapper"](os.fdopen(os.dup(file.fileno()), "rb"))
"#,
    )
    .start();
    for mode in MODES {
        let mut client = site.client();
        let mut get = |path: &str, range: &str| {
            client
                .exchange("GET", &format!("{mode}{path}"), &[&format!("Range: bytes={range}")], b"")
                .expect("an answer")
        };
        let part = get("/file", "2-4");
        assert_eq!((part.status, part.body.as_slice()), (206, &[102, 103, 104][..]), "{mode}");
        assert_eq!(part.all("Content-Range"), ["bytes 2-4/76700"], "{mode}");
        assert_eq!(get("/file", "-1").body, [255], "{mode}");
        assert_eq!(get("/file", "99999-").status, 416, "{mode}");
        let whole = get("/list", "2-4");
        assert_eq!((whole.status, whole.body.len()), (200, 76_700), "{mode}");
        for method in ["POST", "PUT", "HEAD"] {
            let headers = ["Range: bytes=2-4", "Content-Length: 0"];
            let whole = client.exchange(method, &format!("{mode}/file"), &headers, b"").expect("an answer");
            assert_eq!((whole.status, whole.all("Content-Range").len()), (200, 0), "{mode} {method}");
        }
    }
    site.finish();
}

#[test]
fn a_subclass_can_say_which_file_is_sent() {
    let site = Httpd::both_modes(
        "",
        r#"
import io
def application(environ, start_response):
    class Other(environ["wsgi.file_wrapper"]):
        filelike = io.BytesIO(b"the other one")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Other(open(__file__, "rb"))
"#,
    )
    .start();
    for mode in MODES {
        assert_eq!(site.get(mode).text(), "the other one", "{mode}");
    }
    site.finish();
}

/// Each path is the name of a file that `read()` gives something else of than the system has in it, or nothing that can
/// be known before.
const UNLIKE: &str = r#"
import bz2, gzip, io, lzma, os, tempfile, zipfile

TEXT = b"".join(b"line %d of the text\n" % i for i in range(2000))
directory = tempfile.mkdtemp()
path = lambda name: os.path.join(directory, name)
for name, open_one in (("text", open), ("gzip", gzip.open), ("bz2", bz2.open), ("lzma", lzma.open)):
    with open_one(path(name), "wb") as file:
        file.write(TEXT)
with zipfile.ZipFile(path("zip"), "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("member", TEXT)
upper = TEXT.upper()

class Proxy:
    def __init__(self, file):
        self._file = file
    def __getattr__(self, name):
        return getattr(self._file, name)
    def read(self, size=-1):
        return self._file.read(size).upper()

class Reader(io.BufferedReader):
    def read(self, size=-1):
        return super().read(size).upper()

class Raw(io.FileIO):
    def readinto(self, buffer):
        n = super().readinto(buffer)
        buffer[:n] = bytes(buffer[:n]).upper()
        return n

class Plain(io.FileIO):
    """Overrides nothing that matters."""
    def close(self):
        super().close()

def replaced():
    file = open(path("text"), "rb")
    file.read = lambda size=-1, read=file.read: read(size).upper()
    return file

def written():
    file = open(path("written"), "w+b")
    file.write(TEXT[4:])
    file.seek(0)
    file.write(TEXT)
    file.seek(0)
    file.read(4)
    file.write(TEXT[4:10])
    file.seek(4)
    return file

FILES = {
    "plain": (lambda: open(path("text"), "rb"), TEXT), "raw": (lambda: open(path("text"), "rb", 0), TEXT), "sub": (lambda: Plain(path("text")), TEXT),
    "random": (written, TEXT[4:]), "gzip": (lambda: gzip.open(path("gzip")), TEXT), "bz2": (lambda: bz2.open(path("bz2")), TEXT),
    "lzma": (lambda: lzma.open(path("lzma")), TEXT), "zip": (lambda: zipfile.ZipFile(path("zip")).open("member"), TEXT),
    "proxy": (lambda: Proxy(open(path("text"), "rb")), upper), "reader": (lambda: Reader(open(path("text"), "rb", 0)), upper),
    "made-up-raw": (lambda: io.BufferedReader(Raw(path("text"))), upper), "replaced": (replaced, upper),
    "proc": (lambda: open("/proc/version", "rb"), open("/proc/version", "rb").read()),
    "sys": (lambda: open("/sys/kernel/mm/transparent_hugepage/enabled", "rb"), os.path.exists("/sys/kernel/mm/transparent_hugepage/enabled") and open("/sys/kernel/mm/transparent_hugepage/enabled", "rb").read()),
    "subclass": (lambda: open(path("text"), "rb"), upper),
}

def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    make, wanted = FILES[name]
    wrapper = environ["wsgi.file_wrapper"]
    if environ["QUERY_STRING"]:
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return [wanted]
    if name == "subclass":
        class Upper(wrapper):
            def __next__(self):
                return super().__next__().upper()
        wrapper = Upper
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return wrapper(make())
"#;

#[test]
fn what_is_sent_of_a_file_is_what_reading_it_gives() {
    let site = Httpd::both_modes("", UNLIKE).start();
    let mut names = vec!["plain", "raw", "sub", "random", "gzip", "bz2", "lzma", "zip", "proxy", "reader"];
    names.extend(["made-up-raw", "replaced", "proc", "subclass"]);
    names.extend(std::path::Path::new("/sys/kernel/mm/transparent_hugepage/enabled").exists().then_some("sys"));
    for (mode, name) in MODES.iter().flat_map(|mode| names.iter().map(move |name| (mode, name))) {
        let (sent, wanted) = (site.get(&format!("{mode}/{name}")), site.get(&format!("{mode}/{name}?wanted")));
        assert!(sent.status == 200 && !wanted.body.is_empty(), "{mode}/{name}: {}", site.log.text());
        assert!(sent.body == wanted.body, "{mode}/{name}: {} bytes, not {}", sent.body.len(), wanted.body.len());
    }
    let ranges = |name: &str| {
        let answer = site.client().exchange("GET", &format!("/daemon/{name}"), &["Range: bytes=1-2"], b"");
        answer.expect("an answer").status
    };
    assert_eq!(["plain", "raw", "sub", "random"].map(ranges), [206; 4], "a file as it is goes to Apache whole");
    assert_eq!(["gzip", "proc"].map(ranges), [200; 2]);
    site.finish();
}

#[test]
fn a_text_file_is_an_error_and_not_sent_as_bytes() {
    let site = Httpd::both_modes(
        "",
        r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](open(__file__))
"#,
    )
    .start();
    site.log.expect(&["must return bytes, not str"]);
    for mode in MODES {
        assert_eq!(site.get(mode).status, 500, "{mode}");
    }
    assert!(site.log.text().contains("must return bytes, not str"));
    site.finish();
}

#[test]
fn a_file_wrapper_in_a_cycle_is_collected() {
    let site = Httpd::site(
        "",
        r#"
import gc, weakref

class File:
    def read(self, size):
        return b""

def application(environ, start_response):
    file = File()
    file.wrapper = environ["wsgi.file_wrapper"](file)
    gone = weakref.ref(file)
    del file
    gc.collect()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(gone()).encode()]
"#,
    )
    .start();
    assert_eq!(site.get("/").text(), "None");
    site.finish();
}

#[test]
fn a_file_that_is_shortened_while_it_is_sent_cuts_its_response_off() {
    let site = Httpd::both_modes(
        "threads=2",
        r#"
import os, sys, tempfile, threading

def shorten(fd, what):
    os.ftruncate(fd, 1000)
    print(what, "is short", file=sys.stderr, flush=True)

def application(environ, start_response):
    file = tempfile.TemporaryFile(buffering=0)
    file.write(b"x" * 4096)
    file.seek(0)
    os.ftruncate(file.fileno(), 4 << 30)
    what = environ["SCRIPT_NAME"] + " " + environ.get("HTTP_ACCEPT_ENCODING", "plain")
    threading.Timer(0.3, shorten, (os.dup(file.fileno()), what)).start()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](os.fdopen(os.dup(file.fileno()), "rb"))
"#,
    )
    .conf("AddOutputFilterByType DEFLATE text/plain")
    .start();
    for mode in MODES {
        for (headers, encoding) in [(&[][..], "plain"), (&["Accept-Encoding: gzip"], "gzip")] {
            let mut client = site.client();
            client.send_head("GET", mode, headers).expect("sent");
            client.read(1).expect("the answer begins");
            site.log.wait_for(&format!("{mode} {encoding} is short"));
            let rest = client.rest();
            assert!(rest.len() < 1 << 30 && !rest.ends_with(b"0\r\n\r\n"), "{mode} {encoding}: it looks whole");
        }
    }
    assert_eq!(site.log.records_with("WSGI1031: ").len(), 4);
    assert!(!site.log.text().contains("exit signal"));
    site.finish();
}

#[test]
fn sending_a_file_leaves_its_position_where_it_is() {
    let site = Httpd::both_modes(
        "threads=2",
        r#"
import os, tempfile
file = tempfile.TemporaryFile()
file.write(b"x" * 100_000)
file.seek(0)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](os.fdopen(os.dup(file.fileno()), "rb"))
"#,
    )
    .conf("EnableMMAP Off")
    .start();
    for mode in MODES {
        for n in 0..3 {
            assert_eq!(site.get(mode).body.len(), 100_000, "{mode}: request {n}");
        }
    }
    site.finish();
}
