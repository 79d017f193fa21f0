//! `wsgi.early_hints`: interim responses with the status 103 (RFC 8297).

use harness::{Httpd, MODES, Site};

const HINTS: &str = r#"
import json, threading
seen, kept = threading.Event(), []

def refused(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return [type(error).__name__, str(error)]

def application(environ, start_response):
    hints, page = environ["wsgi.early_hints"], environ["PATH_INFO"]
    headers = [("Content-Type", "application/json")]
    if page == "/wait":
        hints([("Link", "</a.css>; rel=preload"), ("Link", "</b.js>; rel=preload"), ("Content-Length", "7")])
        answer = seen.wait(20)
        hints([("X-More", "yes")])
    elif page == "/seen":
        answer = seen.set()
    elif page == "/refused":
        kept.append(hints)
        answer = [refused(hints, headers) for headers in (None, [("X", "a\r\nY: b")], [("X Y", "a")], ["X"])]
    elif page == "/late":
        start_response("200 OK", headers)(b"")
        return [json.dumps([refused(hints, []), refused(kept[0], [])]).encode()]
    elif page == "/many":
        answer = [hints([("X-Number", str(number))]) for number in range(40)]
    elif page == "/long":
        answer = hints([("X-Long", "x" * 30_000)] * 3)
    elif page == "/read":
        hints([])
        answer = environ["wsgi.input"].read().decode()
    start_response("200 OK", headers)
    return [json.dumps(answer).encode()]
"#;

fn site() -> Httpd {
    Httpd::both_modes("threads=3", HINTS).conf("WSGIScriptReloading Off").start()
}

#[test]
fn hints_reach_the_client_while_the_application_goes_on() {
    let site = site();
    for mode in MODES {
        let mut client = site.client();
        client.send_head("GET", &format!("{mode}/wait"), &[]).expect("sent");
        assert!(!client.is_closed(), "something is there before the application answers");
        site.get(&format!("{mode}/seen"));
        let answer = client.answer("GET").expect("an answer");
        assert_eq!((answer.status, answer.text().as_str(), answer.interim.as_slice()), (200, "true", &[103, 103][..]));
        let hints: Vec<_> = answer.hints.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(hints, [("Link", "</a.css>; rel=preload"), ("Link", "</b.js>; rel=preload"), ("X-More", "yes")]);
        assert!(answer.all("Link").is_empty() && answer.all("X-More").is_empty(), "{answer:?}");
    }
    site.finish();
}

#[test]
fn hints_are_checked_as_headers_are_and_refused_when_they_are_late() {
    let site = site();
    for mode in MODES {
        let refused = site.get(&format!("{mode}/refused")).json();
        let kinds: Vec<_> = refused.as_array().expect("a list").iter().map(|error| error[0].clone()).collect();
        assert_eq!(kinds, ["TypeError", "ValueError", "ValueError", "TypeError"], "{mode}: {refused}");
        let late = site.get(&format!("{mode}/late")).json();
        assert_eq!(late[0][1], "early_hints() called after response headers were sent", "{mode}");
        assert_eq!(late[1][1], "early_hints() called after request completed", "{mode}");
    }
    site.finish();
}

#[test]
fn hints_do_not_replace_continue_and_are_not_for_old_clients() {
    let site = site();
    for mode in MODES {
        let mut client = site.client();
        let headers = ["Content-Length: 4", "Expect: 100-continue"];
        client.send_head("POST", &format!("{mode}/read"), &headers).expect("sent");
        assert!(!client.is_closed(), "the interim responses come before the body");
        client.send(b"body").expect("sent");
        let answer = client.answer("POST").expect("an answer");
        // A small body is awaited before a process is bothered.
        let interim = if mode == "/daemon" { [100, 103] } else { [103, 100] };
        assert_eq!((answer.text().as_str(), answer.interim.as_slice()), ("\"body\"", &interim[..]), "{mode}");

        let mut old = site.client();
        old.send(format!("GET {mode}/read HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).expect("sent");
        let answer = old.answer("GET").expect("an answer");
        assert_eq!((answer.status, answer.interim.as_slice()), (200, &[][..]), "{mode}");
    }
    site.finish();
}

#[test]
fn hints_that_are_too_many_or_too_long_are_left_out_and_the_log_tells_once() {
    for (page, given) in [("/many", 32), ("/long", 0)] {
        let site = site();
        for mode in MODES {
            let answer = site.client().exchange("GET", &format!("{mode}{page}"), &[], b"").expect("an answer");
            assert_eq!((answer.status, answer.interim.len()), (200, given), "{mode}{page}");
        }
        let records = site.log.records_with("WSGI1208: early hints are left out");
        assert_eq!(records.len(), MODES.len(), "{page}: once for each request: {records:?}");
        site.finish();
    }
}
