//! What an application may return, and what becomes of it (PEP 3333).

use harness::{Httpd, Site};

fn app(body: &str) -> Httpd {
    Httpd::site("threads=2", body).start()
}

#[test]
fn every_kind_of_iterable_is_sent() {
    let site = app(r#"
class Sequence:
    def __getitem__(self, index):
        return [b"a", b"", b"b"][index]

kinds = {
    "/list": lambda: [b"a", b"b"],
    "/tuple": lambda: (b"a", b"b"),
    "/generator": lambda: (part for part in (b"a", b"", b"b")),
    "/sequence": Sequence,
    "/set": lambda: {b"ab"},
}

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return kinds[environ["PATH_INFO"]]()
"#);
    for path in ["/list", "/tuple", "/generator", "/sequence", "/set"] {
        assert_eq!(site.get(path).text(), "ab", "{path}");
    }
    site.finish();
}

#[test]
fn each_part_leaves_before_the_next_one_is_asked_for() {
    // The second part is made only when the client has acknowledged the first one, with another request.
    let site = app(r#"
import threading
seen = threading.Event()

def parts():
    yield b"first"
    yield b" then " if seen.wait(20) else b" alone "
    yield b"last"

def application(environ, start_response):
    if environ["PATH_INFO"] == "/seen":
        seen.set()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"] if environ["PATH_INFO"] == "/seen" else parts()
"#);
    let mut reader = site.client();
    reader.send_head("GET", "/", &[]).expect("sent");
    // The head arrives with the first part, while the application waits for the other request.
    assert!(!reader.is_closed(), "the first bytes are there");
    assert_eq!(site.get("/seen").text(), "ok");
    let answer = reader.answer("GET").expect("an answer");
    assert_eq!((answer.text().as_str(), answer.complete), ("first then last", true));
    site.finish();
}

const CLOSING: &str = r#"
import json
closed = []

class Body:
    def __init__(self, name, parts):
        self.name, self.parts = name, iter(parts)

    def __iter__(self):
        return self

    def __next__(self):
        part = next(self.parts)
        if part is None:
            raise ValueError("in the middle")
        return part

    def close(self):
        closed.append(self.name)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "application/json")])
    if path == "/closed":
        return [json.dumps(closed).encode()]
    return Body(path, {"/whole": [b"a", b"b"], "/empty": [], "/fails": [b"a", None]}[path])
"#;

#[test]
fn close_is_called_once_whatever_happened() {
    let site = app(CLOSING);
    site.log.expect(&["WSGI0174: "]);
    assert_eq!(site.get("/whole").text(), "ab");
    assert_eq!(site.get("/empty").text(), "");
    let failed = site.client().exchange("GET", "/fails", &[], b"").expect("an answer");
    assert!(!failed.complete, "{failed:?}");
    // close() comes after the last byte, so it may come after the client has seen the end.
    let closed = || {
        Some(site.get("/closed").json()).filter(|closed| *closed == serde_json::json!(["/whole", "/empty", "/fails"]))
    };
    assert!(harness::eventually(std::time::Duration::from_secs(5), closed).is_some(), "{}", site.get("/closed").text());
    site.finish();
}

#[test]
fn a_part_that_is_not_bytes_is_an_error() {
    let site = app(r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return {"/text": ["text"], "/number": [1]}.get(environ["PATH_INFO"])
"#);
    for path in ["/text", "/number", "/nothing"] {
        assert_eq!(site.get(path).status, 500, "{path}");
    }
    site.log.wait_for("TypeError");
    site.finish();
}

#[test]
fn a_large_body_arrives_whole() {
    let site = app(r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [bytes([n]) * 1000003 for n in range(20)]
"#);
    let body = site.get("/").body;
    assert_eq!(body.len(), 20 * 1_000_003);
    assert!(body.chunks(1_000_003).enumerate().all(|(n, part)| part.iter().all(|byte| usize::from(*byte) == n)));
    site.finish();
}

#[test]
fn a_client_that_goes_away_does_not_harm_the_process() {
    let site = app(r#"
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/pid":
        return [str(os.getpid()).encode()]
    return (b"x" * 65536 for _ in range(500))
"#);
    let before = site.get("/pid").text();
    for _ in 0..5 {
        let mut client = site.client();
        client.send_head("GET", "/", &[]).expect("sent");
        assert!(!client.is_closed(), "the answer has begun");
    }
    assert_eq!(site.get("/pid").text(), before);
    site.finish();
}
