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
