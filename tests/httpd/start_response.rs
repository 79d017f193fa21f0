//! `start_response`, `write`, and the head of the response (PEP 3333).

use harness::{Httpd, MODES, Site};
use serde_json::json;

/// One function for each path, in one application; the main group serves it.
fn pages(functions: &str) -> Httpd {
    let dispatch = "\ndef application(environ, start_response):\n    \
                    return globals()[environ['PATH_INFO'].strip('/')](environ, start_response)\n";
    Httpd::site("threads=2", &(functions.to_owned() + dispatch)).start()
}

#[test]
fn status_and_headers_arrive_as_they_were_given() {
    let site = pages(
        r#"
def teapot(environ, start_response):
    start_response("418 Short and stout", [("X-Colour", "blue"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"),
                                           ("Content-Type", "text/plain; charset=utf-8")])
    return [b"tea"]
"#,
    );
    let mut client = site.client();
    let answer = client.exchange("GET", "/teapot", &[], b"").expect("an answer");
    assert_eq!((answer.status, answer.text().as_str(), answer.complete), (418, "tea", true));
    assert_eq!(answer.all("X-Colour"), ["blue"]);
    assert_eq!(answer.all("Set-Cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.all("Content-Type"), ["text/plain; charset=utf-8"]);
    site.finish();
}

#[test]
fn write_comes_before_the_iterable() {
    let site = pages(
        r#"
def both(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"one ")
    write(b"two ")
    return [b"three"]
"#,
    );
    assert_eq!(site.get("/both").text(), "one two three");
    site.finish();
}

#[test]
fn exc_info_replaces_a_head_that_has_not_left_and_is_raised_otherwise() {
    let site = pages(
        r#"
import sys

def early(environ, start_response):
    start_response("200 OK", [("X-Try", "first")])
    try:
        raise LookupError("page")
    except LookupError:
        start_response("503 Sorry", [("X-Try", "second")], sys.exc_info())
    return [b"sorry"]

def late(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"begun")
    try:
        raise LookupError("too late to say sorry")
    except LookupError:
        start_response("503 Sorry", [], sys.exc_info())
    return []
"#,
    );
    let early = site.get("/early");
    assert_eq!((early.status, early.header("x-try"), early.text().as_str()), (503, Some("second"), "sorry"));
    let late = site.client().exchange("GET", "/late", &[], b"").expect("an answer");
    assert_eq!((late.status, late.complete), (200, false), "the client can tell that the answer is not whole");
    site.log.wait_for("too late to say sorry");
    site.finish();
}

#[test]
fn a_head_that_http_does_not_allow_is_refused() {
    let site = pages(
        r#"
import json, urllib.parse

def attempt(environ, start_response):
    arguments = eval(urllib.parse.unquote(environ["QUERY_STRING"]))
    try:
        start_response(*arguments)
    except Exception as error:
        refused = type(error).__name__
    else:
        refused = None
    body = json.dumps(refused).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
"#,
    );
    for (arguments, refused) in [
        ("('200 OK', [])", json!(null)),
        ("('OK', [])", json!("ValueError")),
        ("('200 OK\\r\\nX: y', [])", json!("ValueError")),
        ("('200 OK', [('X', 'a\\r\\nSet-Cookie: b')])", json!("ValueError")),
        ("('200 OK', [('X Y', 'a')])", json!("ValueError")),
        ("('200 OK', [('', 'a')])", json!("ValueError")),
        ("(b'200 OK', [])", json!("TypeError")),
        ("('200 OK', (('X', 'a'),))", json!("TypeError")),
        ("('200 OK', [('X', 1)])", json!("TypeError")),
    ] {
        assert_eq!(site.ask_at("/attempt", arguments), refused, "{arguments}");
    }
    site.finish();
}

#[test]
fn without_start_response_there_is_no_response() {
    let site = pages("\ndef silent(environ, start_response):\n    return [b'body']\n");
    assert_eq!(site.get("/silent").status, 500);
    site.log.wait_for("start_response");
    site.finish();
}

#[test]
fn content_length_is_kept_or_made() {
    let site = pages(
        r#"
def given(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"fo", b"ur"]

def one(environ, start_response):
    start_response("200 OK", [])
    return [b"four"]

def none(environ, start_response):
    start_response("204 No Content", [])
    return []

def long(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"four and more"]
"#,
    );
    let mut client = site.client();
    let mut get = |path: &str| client.exchange("GET", path, &[], b"").expect("an answer");
    for path in ["/given", "/one", "/long"] {
        let answer = get(path);
        assert_eq!(
            (answer.all("Content-Length"), answer.text().as_str(), answer.complete),
            (vec!["4"], "four", true),
            "{path}"
        );
    }
    assert_eq!(get("/none").status, 204);
    site.finish();
}

#[test]
fn content_that_falls_short_ends_with_the_connection() {
    let site = Httpd::both_modes(
        "",
        r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "10")])
    return {"/none": [], "/some": [b"abc"], "/made": (part for part in [b"a", b"bc"])}[environ["PATH_INFO"]]
"#,
    )
    .start();
    for mode in MODES {
        for (path, content) in [("/none", ""), ("/some", "abc"), ("/made", "abc")] {
            let mut client = site.client();
            let answer = client.exchange("GET", &format!("{mode}{path}"), &[], b"").expect("an answer");
            assert_eq!((answer.status, answer.all("Content-Length")), (200, vec!["10"]), "{mode}{path}");
            assert_eq!((answer.text().as_str(), answer.complete), (content, false), "{mode}{path}");
        }
    }
    site.finish();
}

#[test]
fn where_there_can_be_one_header_only_the_last_one_is_sent() {
    let site = pages(
        r#"
def page(environ, start_response):
    start_response("302 Found", [("Content-Length", "9"), ("content-length", "4"), ("Location", "/a"), ("Location", "/b"),
                                 ("Content-Type", "text/html"), ("Content-Type", "text/plain"), ("X-Both", "1"), ("X-Both", "2")])
    return [b"four"]
"#,
    );
    let answer = site.client().exchange("GET", "/page", &[], b"").expect("an answer");
    assert_eq!((answer.all("Content-Length"), answer.all("Location")), (vec!["4"], vec!["/b"]));
    assert_eq!((answer.all("Content-Type"), answer.all("X-Both")), (vec!["text/plain"], vec!["1", "2"]));
    assert!(answer.complete, "{answer:?}");
    site.finish();
}

#[test]
fn mod_ssl_is_asked_through_the_object_behind_start_response() {
    let site = Httpd::both_modes(
        "",
        r#"
def application(environ, start_response):
    adapter = start_response.__self__
    start_response("200 OK", [])
    return [repr([adapter.ssl_is_https(), adapter.ssl_var_lookup("HTTPS"), adapter.ssl_var_lookup(b"SSL_CIPHER")]).encode()]
"#,
    )
    .start();
    for mode in MODES {
        assert_eq!(site.get(mode).text(), "[0, None, None]", "{mode}: without mod_ssl");
    }
    site.finish();
}

#[test]
fn error_pages_of_apache_take_the_place_of_those_of_a_daemon() {
    let site = Httpd::both_modes(
        "",
        r#"
def application(environ, start_response):
    start_response(environ["QUERY_STRING"] + " Mine", [("Content-Type", "text/plain"), ("WWW-Authenticate", "Basic")])
    return [b"from the application"]
"#,
    )
    .conf("WSGIErrorOverride On\nErrorDocument 401 \"from apache\"")
    .start();
    let mut client = site.client();
    let mut ask = |method: &str, path: &str| client.exchange(method, path, &[], b"").expect("an answer");
    let replaced = ask("GET", "/daemon?401");
    assert_eq!((replaced.status, replaced.text().as_str()), (401, "from apache"));
    assert_eq!(replaced.all("WWW-Authenticate"), ["Basic"]);
    assert_eq!(ask("HEAD", "/daemon?401").all("Content-Type"), ["text/html; charset=iso-8859-1"]);
    assert_eq!(ask("GET", "/daemon?302").text(), "from the application");
    assert_eq!(ask("GET", "/embedded?401").text(), "from the application");
    site.finish();
}
