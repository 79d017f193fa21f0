//! `mod_wsgi.LogHandler`, the objects below the text streams, and what stands in for `signal.signal`.

use harness::{Httpd, Site};

const LOGGING: &str = r#"
import logging, mod_wsgi
formatted = []
class Counting(logging.Formatter):
    def format(self, record):
        formatted.append(record.levelname)
        return super().format(record)
handler = mod_wsgi.LogHandler()
handler.setFormatter(Counting("MARK %(message)s"))
log = logging.getLogger("audit")
log.addHandler(handler)
log.setLevel(1)
log.propagate = False
def application(environ, start_response):
    formatted.clear()
    log.debug("detail")
    log.info("note")
    log.warning("one\nMARK two\n")
    log.error("oops")
    start_response("200 OK", [])
    return [" ".join(formatted).encode()]
"#;

#[test]
fn a_record_is_formatted_only_if_its_request_logs_its_level() {
    let site = Httpd::site("threads=2", LOGGING)
        .conf("<Location /quiet>\nLogLevel wsgi:error\n</Location>\n<Location /loud>\nLogLevel wsgi:debug\n</Location>")
        .start();
    site.log.expect(&["MARK "]);
    assert_eq!(site.get("/").text(), "INFO WARNING ERROR");
    assert_eq!(site.get("/quiet").text(), "ERROR");
    assert_eq!(site.get("/loud").text(), "DEBUG INFO WARNING ERROR");
    site.finish();
}

#[test]
fn each_line_of_a_record_is_one_with_the_place_of_the_call() {
    let site = Httpd::site("threads=2", LOGGING).conf("ErrorLogFormat \"[%l] %F %M\"").start();
    site.get("/");
    site.log.wait_for("oops");
    let log = site.log.text();
    let mark = |line: &&str| line.contains("MARK") || line.ends_with("site.wsgi] ");
    let lines: Vec<_> = log.lines().filter(mark).map(|l| l.split_once("MARK ").map_or("", |(_, rest)| rest)).collect();
    assert_eq!(lines, ["note", "one", "two", "oops"], "{log}");
    for place in ["[info] site.wsgi(17)", "[warn] site.wsgi(18)", "[error] site.wsgi(19)"] {
        assert!(log.contains(place), "{place} is not in {log}");
    }
    site.finish();
}

#[test]
fn bytes_below_a_text_stream_may_be_text_with_one_warning_in_a_process() {
    let source = r#"
import warnings
def application(environ, start_response):
    log = environ["wsgi.errors"].buffer
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log.write("MARK text \ud800\n")
        log.write("MARK more\n")
    start_response("200 OK", [])
    return [" ".join(w.category.__name__ for w in caught).encode()]
"#;
    let site = Httpd::site("threads=2", source).start();
    site.log.expect(&["MARK "]);
    assert_eq!(site.get("/").text(), "DeprecationWarning");
    assert_eq!(site.get("/").text(), "");
    assert_eq!(site.log.records_with("MARK text ?").len(), 2);
    site.finish();
}

#[test]
fn a_stream_that_is_kept_names_the_method_that_it_refuses() {
    let source = r#"
kept = []
def application(environ, start_response):
    said = []
    for stream in kept[:1]:
        for method, argument in (("write", b"x"), ("writelines", [b"x"])):
            try:
                getattr(stream, method)(argument)
            except RuntimeError as error:
                said.append(str(error))
        stream.flush()
        stream.close()
    kept.append(environ["wsgi.errors"].buffer)
    start_response("200 OK", [])
    return ["|".join(said).encode()]
"#;
    let site = Httpd::site("threads=1", source).start();
    site.get("/");
    let refused =
        ["write", "writelines"].map(|method| format!("{method}() called on wsgi.errors after request completed"));
    assert_eq!(site.get("/").text(), refused.join("|"));
    site.finish();
}

#[test]
fn signals_are_the_processes_own_affair_but_in_forked_ones() {
    let source = r#"
import os, signal
def attempt(*arguments):
    try:
        return signal.signal(*arguments)
    except TypeError as error:
        return error
def application(environ, start_response):
    handler = lambda *_: None
    taken = attempt(signal.SIGTERM, handler) is handler
    pid = os.fork()
    if not pid:
        os._exit(signal.signal(signal.SIGTERM, handler) is handler)
    said = [type(signal.signal), taken, os.waitpid(pid, 0)[1], attempt("x", handler), attempt()]
    start_response("200 OK", [])
    return [" | ".join(map(str, said)).encode()]
"#;
    let site = Httpd::site("threads=1", source).start();
    assert_eq!(
        site.get("/").text(),
        "<class 'mod_wsgi.SignalIntercept'> | True | 0 | 'str' object cannot be interpreted as an integer | \
         signal() takes exactly 2 arguments (0 given)"
    );
    let found = site.log.records_with("Ignoring Python signal handler registration for signal 15");
    assert!(found.len() == 1 && found[0].contains("in attempt"), "{found:?}");
    site.finish();
}

#[test]
fn forbidden_streams_refuse_every_use() {
    let source = r#"
import sys
def application(environ, start_response):
    said = []
    for stream in (sys.stdin, sys.stdout):
        said.append(type(stream).__module__ + "." + type(stream).__name__)
        for name in ("read", "write", "no_such_attribute"):
            try:
                getattr(stream, name)
            except OSError as error:
                said.append(str(error))
    start_response("200 OK", [])
    return ["|".join(said).encode()]
"#;
    let site = Httpd::site("threads=1", source).conf("WSGIRestrictStdin On\nWSGIRestrictStdout On").start();
    // At the end of the process; the words depend on the version of Python.
    site.log.expect(&["Exception ignored ", "sys.stdout access restricted"]);
    let wanted = ["stdin", "stdout"].map(|name| {
        let refused = format!("|sys.{name} access restricted by mod_wsgi").repeat(3);
        format!("mod_wsgi.Restricted{refused}")
    });
    assert_eq!(site.get("/").text(), wanted.join("|"));
    site.finish();
}
