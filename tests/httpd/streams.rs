//! `wsgi.input`, `wsgi.errors` and `wsgi.file_wrapper`.

use harness::{Httpd, MODES, Site, records};
use serde_json::json;

/// Answers the value of an expression about `i`, the input stream.
const READS: &str = r#"
import json, urllib.parse

def application(environ, start_response):
    value = eval(urllib.parse.unquote(environ["QUERY_STRING"]), {"i": environ["wsgi.input"]})
    body = json.dumps(value, default=bytes.decode).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
"#;

#[test]
fn input_reads_as_a_file_does() {
    let site = Httpd::site("threads=2", READS).start();
    for (expression, wanted) in [
        ("i.read()", json!("one\ntwo\nthree")),
        ("[i.read(2),i.read(0),i.read(100),i.read(5)]", json!(["on", "", "e\ntwo\nthree", ""])),
        (
            "[i.readline(),i.readline(2),i.readline(),i.readline(),i.readline()]",
            json!(["one\n", "tw", "o\n", "three", ""]),
        ),
        ("i.readlines()", json!(["one\n", "two\n", "three"])),
        ("list(i)", json!(["one\n", "two\n", "three"])),
        ("[i.readline(),i.read(-1)]", json!(["one\n", "two\nthree"])),
    ] {
        let answer = site.post(&format!("/?{expression}"), b"one\ntwo\nthree");
        assert_eq!(answer.json(), wanted, "{expression}");
    }
    site.finish();
}

#[test]
fn a_request_without_a_body_has_an_empty_input() {
    let site = Httpd::site("threads=2", READS).start();
    assert_eq!(site.get("/?[i.read(),i.readline(),list(i)]").json(), json!(["", "", []]));
    site.finish();
}

#[test]
fn a_body_that_is_not_read_does_not_spoil_the_connection() {
    let site = Httpd::site("threads=2", READS).start();
    let mut client = site.client();
    for _ in 0..3 {
        let length = "Content-Length: 300000";
        let answer = client.exchange("POST", "/?1", &[length], &[b'x'; 300_000]).expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "1"));
    }
    site.finish();
}

#[test]
fn continue_is_sent_when_the_application_reads_and_not_before() {
    let site = Httpd::site("threads=2", READS).start();
    let headers = ["Content-Length: 4", "Expect: 100-continue"];
    let mut client = site.client();
    client.send_head("POST", "/?i.read()", &headers).expect("sent");
    assert!(!client.is_closed(), "100 Continue is there before the body");
    client.send(b"body").expect("sent");
    let answer = client.answer("POST").expect("an answer");
    assert_eq!((answer.interim.as_slice(), answer.text().as_str()), ([100].as_slice(), "\"body\""));
    site.finish();
}

#[test]
fn a_client_is_told_to_go_on_when_a_thread_has_its_request() {
    let site = Httpd::site("threads=3", READS).start();
    for length in [4, 100_000] {
        let mut client = site.client();
        // The application does not read before the client has got the line.
        let go = site.root().join(format!("go-{length}"));
        let wait = format!(
            "list(iter(lambda:__import__('time').sleep(.05)%20or%20__import__('os').path.exists('{}'),True))",
            go.display()
        );
        let headers = [&*format!("Content-Length: {length}"), "Expect: 100-continue"];
        client.send_head("POST", &format!("/?[{wait},len(i.read())][1]"), &headers).expect("sent");
        assert!(client.answers().expect("100 Continue"), "{length}");
        std::fs::write(&go, "").expect("written");
        client.send(&vec![b'x'; length]).expect("sent");
        assert_eq!(client.answer("POST").expect("an answer").text(), length.to_string());
    }
    site.finish();
}

#[test]
fn reading_nothing_lets_the_client_begin() {
    let site = Httpd::both_modes("threads=2", READS).start();
    for mode in MODES {
        let mut client = site.client();
        let headers = ["Content-Length: 4", "Expect: 100-continue"];
        client.send_head("POST", &format!("{mode}?[i.read(0),i.read()]"), &headers).expect("sent");
        assert!(!client.is_closed(), "{mode}: 100 Continue is there before the body");
        client.send(b"body").expect("sent");
        let answer = client.answer("POST").expect("an answer");
        assert_eq!((answer.interim.as_slice(), answer.text().as_str()), (&[100][..], "[\"\", \"body\"]"), "{mode}");
    }
    site.finish();
}

#[test]
fn the_objects_of_a_request_are_of_no_use_after_it() {
    let site = Httpd::both_modes(
        "threads=1",
        r#"
kept = {}

def refused(call, *arguments):
    try:
        call(*arguments)
    except RuntimeError as error:
        return str(error).endswith("after request completed")

def application(environ, start_response):
    old = dict(kept)
    kept.update(input=environ["wsgi.input"], start_response=start_response, write=start_response("200 OK", []))
    if not old:
        return [b"kept"]
    input, write = old["input"], old["write"]
    calls = [(input.read,), (input.read, "x"), (input.readline,), (input.readlines,), (input.close,), (next, input),
             (write, b""), (write, "x"), (old["start_response"], "200 OK", []), (old["start_response"],)]
    return [repr([refused(*call) for call in calls]).encode()]
"#,
    )
    .conf("WSGIScriptReloading Off")
    .start();
    for mode in MODES {
        assert_eq!(site.get(mode).text(), "kept");
        assert_eq!(site.get(mode).text(), format!("[{}]", ["True"; 10].join(", ")), "{mode}");
    }
    site.finish();
}

#[test]
fn a_chunked_body_needs_the_directive() {
    let chunks = b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n";
    let headers = ["Transfer-Encoding: chunked"];
    let allowed = Httpd::site("", READS).conf("WSGIChunkedRequest On").start();
    allowed.log.expect(&["WSGI1002: "]);
    let answer = allowed.client().exchange("POST", "/?i.read()", &headers, chunks).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (200, "\"one two\""));
    allowed.finish();
    let refused = Httpd::site("", READS).start();
    refused.log.expect(&["WSGI1002: "]);
    assert_eq!(refused.client().exchange("POST", "/?i.read()", &headers, chunks).expect("an answer").status, 411);
    refused.finish();
}

#[test]
fn a_client_that_stops_in_its_body_is_an_error_of_the_read() {
    let site = Httpd::site(
        "threads=2",
        r#"
import sys
def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            print("the read failed:", type(error).__name__, file=sys.stderr, flush=True)
            raise
    start_response("200 OK", [])
    return [b"ok"]
"#,
    )
    .start();
    site.log.expect(&["WSGI0174: "]);
    let mut client = site.client();
    client.send_head("POST", "/", &["Content-Length: 1000000"]).expect("sent");
    client.send(b"not all of it").expect("sent");
    drop(client);
    site.log.wait_for("the read failed: ");
    assert_eq!(site.get("/").text(), "ok");
    site.finish();
}

#[test]
fn what_is_written_to_errors_is_logged_line_by_line() {
    let site = Httpd::site(
        "threads=2",
        r#"
import sys
def application(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("whole line\n")
    errors.write("two ")
    errors.writelines(["halves\n", "no line feed"])
    print("from stdout", flush=True)
    print("from stderr \u00e9", file=sys.stderr)
    start_response("200 OK", [])
    return [b"ok"]
"#,
    )
    .start();
    assert_eq!(site.get("/page").text(), "ok");
    for text in ["whole line", "two halves", "no line feed", "from stdout", "from stderr"] {
        let found = site.log.records_with(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains("127.0.0.1"), "a record of a request names its client: {}", found[0]);
    }
    site.finish();
}

#[test]
fn output_at_import_is_logged_as_well() {
    let site = Httpd::site("", &format!("print('imported here', flush=True)\n{}", harness::HELLO)).start();
    assert_eq!(site.get("/").text(), "hello");
    assert_eq!(site.log.records_with("imported here").len(), 1, "{:?}", records(&site.log.text()));
    site.finish();
}

#[test]
fn a_stream_of_the_log_has_no_descriptor_as_others_have_none() {
    let script = r#"
import io, json, sys

def refuses(stream):
    try:
        stream.fileno()
    except io.UnsupportedOperation as error:
        return str(error)

def application(environ, start_response):
    answer = [refuses(stream) for stream in (sys.stderr, sys.stdout, environ["wsgi.errors"])]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
"#;
    let site = Httpd::both_modes("", script).start();
    let wanted = ["<stderr>", "<stdout>", "<wsgi.errors>"].map(|name| format!("{name} has no file descriptor"));
    for mode in MODES {
        assert_eq!(site.get(mode).json(), json!(wanted), "{mode}");
    }
    site.finish();
}
