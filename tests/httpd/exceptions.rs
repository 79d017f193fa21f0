//! What becomes of an exception, and what the error log says about it.

use harness::{Httpd, MODES, Site, records};

const RAISES: &str = r#"
def application(environ, start_response):
    if environ["PATH_INFO"] == "/ok":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]
    helper()

def helper():
    raise ValueError("trouble 42")
"#;

#[test]
fn an_exception_is_a_500_with_one_record_that_holds_the_whole_traceback() {
    let site = Httpd::site("threads=2", RAISES).start();
    let answer = site.get("/orders/17");
    assert_eq!(answer.status, 500);
    assert!(!answer.text().contains("trouble"), "the client learns nothing: {answer:?}");
    let found = site.log.records_with("trouble 42");
    assert_eq!(found.len(), 1, "{found:#?}");
    let record = &found[0];
    for part in [
        "Traceback (most recent call last)",
        "site.wsgi",
        "line 6, in application",
        "line 9, in helper",
        "ValueError: trouble 42",
    ] {
        assert!(record.contains(part), "{part:?} is not in {record}");
    }
    assert!(record.contains("/orders/17"), "the record names the request: {record}");
    assert!(record.contains("127.0.0.1"), "the record names the client: {record}");
    let about = records(&site.log.text()).into_iter().filter(|record| record.contains("Traceback")).count();
    assert_eq!(about, 1, "one exception, one traceback");
    assert_eq!(site.get("/ok").text(), "ok");
    site.finish();
}

#[test]
fn an_exception_in_the_middle_of_a_body_leaves_it_visibly_incomplete() {
    let site = Httpd::site(
        "threads=2",
        r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first part"
    raise ValueError("trouble 43")
"#,
    )
    .start();
    let answer = site.client().exchange("GET", "/", &[], b"").expect("an answer");
    assert_eq!((answer.status, answer.complete), (200, false), "{answer:?}");
    assert_eq!(site.log.records_with("trouble 43").len(), 1);
    site.finish();
}

#[test]
fn a_script_that_does_not_load_is_a_500_and_is_tried_again() {
    let site = Httpd::site("threads=2", "import no_such_module\n").start();
    assert_eq!(site.get("/").status, 500);
    let log = site.log.wait_for("ModuleNotFoundError: No module named 'no_such_module'");
    assert!(log.contains("site.wsgi\", line 1"), "{log}");
    site.write("apps/site.wsgi", harness::HELLO);
    assert_eq!(site.get("/").text(), "hello");
    site.finish();
}

#[test]
fn a_syntax_error_names_file_and_line() {
    let site = Httpd::site("threads=2", "x = 1\ndef application(\n").start();
    assert_eq!(site.get("/").status, 500);
    let log = site.log.wait_for("SyntaxError");
    assert!(log.contains("site.wsgi\", line 2"), "{log}");
    site.finish();
}

#[test]
fn exit_in_an_application_fails_the_request_not_the_process() {
    let site = Httpd::site(
        "threads=2",
        r#"
import os, sys
def application(environ, start_response):
    if environ["PATH_INFO"] == "/exit":
        sys.exit(3)
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"#,
    )
    .start();
    let before = site.get("/").text();
    assert_eq!(site.get("/exit").status, 500);
    site.log.wait_for("SystemExit");
    assert_eq!(site.get("/").text(), before);
    site.finish();
}

#[test]
fn a_changed_script_is_used_from_the_next_request_on() {
    let site = Httpd::site("threads=2", harness::HELLO).start();
    assert_eq!(site.get("/").text(), "hello");
    site.write("apps/site.wsgi", &harness::HELLO.replace("hello", "howdy"));
    assert_eq!(site.get("/").text(), "howdy");
    site.finish();
}

/// `/panic` ends by a panic of ours: an exception that pyo3 takes for one of its own. `/raise` tries to make that in
/// the usual way. `/later` uses what is left of the request that panicked.
const PANICS: &str = r#"
kept = []
ours = next(c for c in BaseException.__subclasses__() if c.__name__ == "PanicException")

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.endswith("/panic"):
        kept[:] = [environ["wsgi.errors"], environ["wsgi.input"], start_response]
        raise BaseException.__new__(ours, "contrived")
    if path.endswith("/raise"):
        raise ours("contrived")
    refused = 0
    for use in (lambda: kept[0].write("from the past\n"), lambda: kept[1].read(), lambda: kept[2]("200 OK", [])):
        try:
            use()
        except RuntimeError:
            refused += 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(refused).encode()]
"#;

#[test]
fn a_request_that_ends_by_a_panic_is_over() {
    let site = Httpd::both_modes("threads=1", PANICS).start();
    site.log.expect(&[
        "panic in a request: contrived",
        "a whole response",
        "is resuming a panic",
        "Python stack trace below:",
    ]);
    for mode in MODES {
        let status = site.try_request("GET", &format!("{mode}/panic"), &[], b"").map_or(0, |answer| answer.status);
        assert!(matches!(status, 500 | 502), "{mode}: {status}");
        assert_eq!(site.get(&format!("{mode}/later")).text(), "3", "{mode}: {}", site.log.text());
        assert!(!site.log.text().contains("from the past"), "{mode}");
    }
    let log = site.log.text();
    assert!(log.contains("panic in a request: contrived"), "{log}");
    let reasons: Vec<_> = log.lines().filter(|line| line.contains("a whole response")).collect();
    assert_eq!(reasons.len(), 2, "{log}");
    assert!(reasons.iter().any(|reason| reason.contains("the daemon process")), "{log}");
    assert!(reasons.iter().any(|reason| reason.contains("the engine in this Apache child")), "{log}");
    site.finish();
}

#[test]
fn the_class_of_pyo3s_panics_cannot_be_raised_and_no_raw_text_comes_of_it() {
    let site = Httpd::both_modes("threads=1", PANICS).start();
    for mode in MODES {
        assert_eq!(site.get(&format!("{mode}/raise")).status, 500, "{mode}");
    }
    let log = site.log.wait_for("TypeError");
    assert!(!log.contains("resuming a panic") && !log.contains("panic in"), "{log}");
    site.finish();
}

/// On Python 3.10 and 3.11 an allocation may run finalizers at once, also that of what is being made.
const COLLECTED: &str = r#"
import gc, mod_wsgi
seen = []

class Curious:
    def __init__(self):
        self.me = self
    def __del__(self):
        seen.append(mod_wsgi.request_data())

def application(environ, start_response):
    gc.collect()
    threshold = gc.get_threshold()
    Curious()
    gc.set_threshold(1, 1, 1)
    try:
        data = mod_wsgi.request_data()
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str([entry is data for entry in seen]).encode()]
"#;

#[test]
fn a_finalizer_may_ask_for_the_data_of_the_request_while_they_are_made() {
    let site = Httpd::both_modes("threads=1 deadlock-timeout=3", COLLECTED).start();
    for mode in MODES {
        assert_eq!(site.get(mode).text(), "[True]", "{mode}: {}", site.log.text());
    }
    site.finish();
}
