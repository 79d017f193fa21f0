//! Whatever frames a script sends that is asked about a request, nobody is let in but by its one answer to this
//! question.

use harness::{Builder, Httpd, Site, basic, module};

/// Answers with what the query says, written to the connection itself.
const FORGER: &str = r#"
import os, struct, sys, threading, time
sys.path.insert(0, os.path.dirname(__file__))
from frames import *

UNKNOWN, NO, YES, TEXT, GROUPS, CHOICE = (bytes([kind]) for kind in range(6))
COMPLETE = frame(END, b"\0")

def of(kind, payload=b""):
    return frame(ANSWER, kind + payload)

FORGED = {
    "no-kind": lambda: [of(b"\x09")],
    "nothing": lambda: [frame(ANSWER)],
    "trailing": lambda: [of(YES, b"\0")],
    "half": lambda: [of(TEXT, b"\xff\0\0\0root")],
    "other-groups": lambda: [of(GROUPS, struct.pack("=I", 1) + text(b"agents"))],
    "other-choice": lambda: [of(CHOICE, b"\0\0\0")],
    "empty-name": lambda: [of(TEXT, text(b""))],
    "long-name": lambda: [of(TEXT, text(b"x" * 1025))],
    "nul-name": lambda: [of(TEXT, text(b"root\0x"))],
    "line-name": lambda: [of(TEXT, text(b"x\r\nSet-Cookie: y"))],
    "long-frame": lambda: [frame(ANSWER, b"", 1 << 20)],
    "response": lambda: [head(200, [(b"Content-Type", b"text/plain")]), frame(DATA, b"PWNED!"), COMPLETE],
    "end": lambda: [COMPLETE],
    "no-failure": lambda: [frame(FAIL, struct.pack("=H", 200))],
    "pulled": lambda: [frame(PULL, struct.pack("=I", 1000)), of(YES)],
    "closed": lambda: [],
}

def behind(connection, data):
    time.sleep(0.3)
    connection.sendall(data)
    os.write(2, b"the answer lies there\n")

def ask(environ):
    kind, _, page = environ["QUERY_STRING"].partition("=")
    if kind == "forge":
        answer(environ, *FORGED[page]())
    elif kind == "stray":
        connection, number = exchange(environ)
        with connection:
            connection.sendall(stamped(of(YES), number + int(page) & 65535))
            connection.shutdown(socket.SHUT_RDWR)
    elif kind == "twice":
        connection, number = exchange(environ)
        with connection:
            connection.sendall(stamped(of(NO), number) + stamped(of(YES), number))
            connection.shutdown(socket.SHUT_RDWR)
    elif kind == "late":
        connection, number = exchange(environ)
        data = stamped(of(YES), number + int(page) & 65535)
        threading.Thread(target=behind, args=(connection, data)).start()
    return kind in ("honest", "late")

def allow_access(environ, host):
    return ask(environ)

def check_password(environ, user, password):
    return ask(environ)

def application(environ, start_response):
    answer(environ, of(YES))
    start_response("200 OK", [])
    return []
"#;

/// The names of the forged answers.
fn pages() -> Vec<String> {
    let lines = FORGER.lines().skip_while(|line| *line != "FORGED = {").skip(1).take_while(|line| *line != "}");
    let pages: Vec<_> = lines.filter_map(|line| Some(line.split('"').nth(1)?.to_owned())).collect();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

fn builder(protection: &str) -> Builder {
    let module = module("auth_basic").expect("mod_auth_basic").display().to_string();
    Httpd::builder()
        .conf(&format!("LoadModule auth_basic_module {module}\nWSGIDaemonProcess gate processes=1 threads=1"))
        .conf(&format!("<Location /page.txt>\n{protection}\n</Location>"))
        .conf("WSGIScriptAlias /app {apps}/gate.py process-group=gate application-group=%{GLOBAL}")
        .app("gate.py", FORGER)
        .app("frames.py", include_str!("frames.py"))
        .file("htdocs/page.txt", "a page")
}

fn site(protection: &str) -> Httpd {
    let site = builder(protection).start();
    site.log.expect(&["shown", "WSGI1005: ", "WSGI0057: client denied", "WSGI1405: ", "WSGI1006: "]);
    site
}

const ACCESS: &str = "WSGIAccessScript {apps}/gate.py process-group=gate";
const PASSWORD: &str = "AuthType Basic\nAuthName test\nAuthBasicProvider wsgi\nWSGIAuthUserScript {apps}/gate.py process-group=gate\n\
                        Require valid-user";

/// The status of a request for the page, which is given with 200 alone.
fn visit(site: &Httpd, query: &str) -> u16 {
    let answer = site.request("GET", &format!("/page.txt?{query}"), &[("Authorization", &basic("spy", "x"))], b"");
    assert_eq!(answer.text() == "a page", answer.status == 200, "{query}: {answer:?}");
    assert!(!answer.text().contains("PWNED"), "{query}: {answer:?}");
    answer.status
}

#[test]
fn a_forged_answer_lets_nobody_in() {
    for protection in [ACCESS, PASSWORD] {
        let site = site(protection);
        for page in pages() {
            let status = visit(&site, &format!("forge={page}"));
            assert!(matches!(status, 403 | 500 | 503), "{page}: {status}: {}", site.log.text());
            assert_eq!(visit(&site, "honest"), 200, "{page}: {}", site.log.text());
        }
        site.finish();
    }
}

#[test]
fn an_answer_to_another_question_lets_nobody_in() {
    for protection in [ACCESS, PASSWORD] {
        let site = site(protection);
        for other in [1, 2, 65_535] {
            assert!(matches!(visit(&site, &format!("stray={other}")), 403 | 500), "{other}");
            assert_eq!(visit(&site, "honest"), 200, "{other}: {}", site.log.text());
        }
        // The first one is the answer; what follows is nothing.
        assert!(matches!(visit(&site, "twice"), 401 | 403));
        site.finish();
        for later in [0, 1, 65_535] {
            let site = self::site(protection);
            assert_eq!(visit(&site, &format!("late={later}")), 200, "its own answer is true");
            site.log.wait_for("the answer lies there");
            assert!(matches!(visit(&site, "deny"), 401 | 403 | 500), "{later}: {}", site.log.text());
            assert_eq!(visit(&site, "honest"), 200, "{later}: {}", site.log.text());
            site.finish();
        }
    }
}

#[test]
fn an_answer_is_no_response() {
    let site = site(ACCESS);
    let answer = site.get("/app");
    assert_eq!(answer.status, 502, "{answer:?}");
    site.log.wait_for("WSGI1029: …a frame of the kind Answer has no place there");
    assert_eq!(visit(&site, "honest"), 200);
    site.finish();
}
