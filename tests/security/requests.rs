//! What a client may write: requests that two readers could understand differently reach no application, headers
//! imitate no variables, and paths lead out of no alias.

use harness::{Answer, Client, Httpd, MODES, Site};
use serde_json::Value;
use std::collections::BTreeMap;

/// Answers what it sees of the request: variables and body.
const SEES: &str = r#"
import json

def application(environ, start_response):
    body = environ["wsgi.input"].read().decode("latin-1")
    seen = {key: value for key, value in environ.items() if isinstance(value, str)} | {"body": body}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
"#;

/// What would be served if a body were taken for a request.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn site() -> Httpd {
    Httpd::both_modes("threads=2", SEES)
        .conf("WSGIChunkedRequest On\nKeepAliveTimeout 1\nTimeout 2")
        .conf("WSGIScriptAlias /directory {root}/scripts process-group=site application-group=%{GLOBAL}")
        .file("scripts/in.wsgi", SEES)
        .file("scripts-beside/out.wsgi", SEES)
        .file("secret.wsgi", SEES)
        .start()
}

/// The answers to what is sent on one connection, until the server closes it or has nothing more to say.
fn answers(site: &Httpd, bytes: &[u8]) -> Vec<Answer> {
    let mut client = site.client();
    // The server may refuse it before it has read everything.
    let _ = client.send(bytes);
    let _ = client.end_of_requests();
    let mut all = Vec::new();
    while client.answers().unwrap_or(false) {
        match client.answer("POST") {
            Ok(answer) => all.push(answer),
            Err(_) => break,
        }
    }
    all
}

fn seen(answer: &Answer) -> BTreeMap<String, String> {
    let Ok(Value::Object(seen)) = serde_json::from_slice(&answer.body) else { panic!("{answer:?}") };
    seen.into_iter().map(|(key, value)| (key, value.as_str().unwrap_or_default().to_owned())).collect()
}

/// No second answer comes out of one request, and no application sees the path that its body names.
fn assert_whole(site: &Httpd, request: &str) -> Vec<Answer> {
    let all = answers(site, request.as_bytes());
    assert!(!all.is_empty(), "no answer to {request:?}");
    for answer in &all {
        assert!(!answer.text().contains("/smuggled\"") && answer.status != 404, "{request:?}: {answer:?}");
    }
    assert!(all.len() == 1, "{request:?}: {} answers", all.len());
    all
}

#[test]
fn a_length_that_can_be_understood_in_two_ways_smuggles_nothing() {
    let site = site();
    site.log.expect(&["WSGI1001: "]);
    let length = SMUGGLED.len();
    let framings = [
        format!("Content-Length: {length}\r\nContent-Length: 0"),
        format!("Content-Length: 0\r\nContent-Length: {length}"),
        format!("Content-Length: {length}, 0"),
        format!("Content-Length: +{length}"),
        format!("Content-Length: -{length}"),
        format!("Content-Length: 0x{length:x}"),
        format!("Content-Length: {length}\u{b}"),
        format!("Content-Length: {length};"),
        format!("Content-Length : {length}"),
        format!(" Content-Length: {length}"),
        format!("X: y\r\n Content-Length: {length}"),
        "Content-Length: 18446744073709551616".to_owned(),
        "Content-Length: 9223372036854775808".to_owned(),
        "Content-Length: 1e1".to_owned(),
        "Content-Length:".to_owned(),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked, identity"),
        "Transfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: chunked, chunked".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: \"chunked\"".to_owned(),
        "Transfer-Encoding: chunked;q=1".to_owned(),
        "Transfer-Encoding : chunked".to_owned(),
        "Transfer-Encoding: gzip".to_owned(),
    ];
    for mode in MODES {
        for framing in &framings {
            let request = format!("POST {mode} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{SMUGGLED}");
            let all = answers(&site, request.as_bytes());
            let refused = |answer: &Answer| matches!(answer.status, 400 | 411 | 413 | 501);
            let whole = |answer: &Answer| answer.status == 200 && seen(answer)["body"] == SMUGGLED;
            let framed = framing.starts_with("X: y") && all.len() == 2;
            let [first, ..] = &all[..] else { panic!("{mode} {framing:?}: no answer") };
            assert!(framed || all.len() == 1 && (refused(first) || whole(first)), "{mode} {framing:?}: {all:?}");
        }
    }
    site.finish();
}

#[test]
fn of_length_and_chunks_the_chunks_count_and_the_connection_ends() {
    let site = site();
    let chunks = "3\r\nabc\r\n0\r\n\r\n";
    for mode in MODES {
        for framing in [
            format!("Content-Length: {}\r\nTransfer-Encoding: chunked", chunks.len() + SMUGGLED.len()),
            "Transfer-Encoding: chunked\r\nContent-Length: 4".to_owned(),
            "Transfer-Encoding: CHUNKED\r\nContent-Length: 4".to_owned(),
        ] {
            let request = format!("POST {mode} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{chunks}{SMUGGLED}");
            let [answer] = &assert_whole(&site, &request)[..] else { panic!("{mode} {framing}") };
            if answer.status == 200 {
                let seen = seen(answer);
                assert_eq!((seen["body"].as_str(), seen.get("CONTENT_LENGTH")), ("abc", None), "{mode} {framing}");
            } else {
                assert_eq!(answer.status, 400, "{mode} {framing}");
            }
        }
    }
    site.finish();
}

#[test]
fn chunks_that_are_none_end_the_connection_with_one_answer() {
    let site = site();
    site.log.expect(&["WSGI0174: "]);
    for mode in MODES {
        for chunks in [
            "zz\r\nabc\r\n",
            "-3\r\nabc\r\n",
            "0x3\r\nabc\r\n",
            " 3\r\nabc\r\n0\r\n\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nab\r\n0\r\n\r\n",
            "3;\r\r\nabc\r\n0\r\n\r\n",
            "ffffffffffffffff\r\nabc\r\n",
            "10000000000000000\r\nabc\r\n",
            "3\r\nabc0\r\n\r\n",
        ] {
            let head = format!("POST {mode} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
            let all = answers(&site, format!("{head}{chunks}{SMUGGLED}").as_bytes());
            let [answer] = &all[..] else { panic!("{mode} {chunks:?}: {all:?}") };
            // A size with a space before it, or an extension that is none, is forgiven; what follows the body is not
            // its affair then.
            assert!(matches!(answer.status, 200 | 400 | 413 | 500), "{mode} {chunks:?}: {answer:?}");
            assert!(!answer.text().contains("smuggled"), "{mode} {chunks:?}: {answer:?}");
        }
    }
    site.finish();
}

#[test]
fn headers_imitate_no_variables() {
    let site = site();
    let headers = [
        "Proxy: evil",
        "X_Forwarded_For: evil",
        "X-Forwarded_For: evil",
        "Remote-User: evil",
        "REMOTE_USER: evil",
        "Content_Length: evil",
        "CONTENT_TYPE: evil",
        "Script_Name: evil",
        "wsgi.url_scheme: evil",
        "mod_wsgi.process_group: evil",
        "Http_Host: evil",
        "Https: evil",
        "Auth-Type: evil",
        "Path-Info: evil",
        "X.Y: evil",
        "X~Y: evil",
        "X'Y: evil",
    ];
    // What may be seen of them: a name of letters, digits and hyphens, under its own variable.
    let allowed = ["HTTP_REMOTE_USER", "HTTP_HTTPS", "HTTP_AUTH_TYPE", "HTTP_PATH_INFO"];
    for mode in MODES {
        let mut client = site.client();
        for header in headers {
            let seen = seen(&client.exchange("GET", mode, &[header], b"").expect("an answer"));
            let evil: Vec<_> = seen.iter().filter(|(_, value)| *value == "evil").map(|(key, _)| key.as_str()).collect();
            assert!(evil.iter().all(|key| allowed.contains(key)), "{mode} {header}: {evil:?}");
            assert!(seen.get("wsgi.url_scheme").is_none_or(|scheme| scheme == "http"), "{mode} {header}");
        }
    }
    site.finish();
}

#[test]
fn lines_and_names_that_are_none_are_refused() {
    let site = site();
    for mode in MODES {
        for lines in [
            format!("GET {mode}\0 HTTP/1.1\r\nHost: localhost"),
            format!("GET {mode}%00 HTTP/1.1\r\nHost: localhost"),
            format!("GET {mode} HTTP/1.1\r\nHost: local\0host"),
            format!("GET {mode} HTTP/1.1\r\nHost: localhost\r\nX: a\0b"),
            format!("GET {mode} HTTP/1.1\r\nHost: localhost\r\nX\0: a"),
            format!("GET {mode} HTTP/1.1\r\nHost: localhost\r\n: a"),
            format!("GET {mode} HTTP/1.1\r\nHost: localhost\r\nX Y: a"),
            format!("GET {mode} HTTP/1.1\r\nHost: localhost\r\nX"),
            format!("GET {mode} HTTP/1.1\r\nHost: localhost\r\nHost: other"),
            format!("GET {mode} HTTP/1.1"),
            format!("G\u{1}T {mode} HTTP/1.1\r\nHost: localhost"),
            format!("GET {mode} HTTP/1.1 x\r\nHost: localhost"),
        ] {
            let all = answers(&site, format!("{lines}\r\n\r\n").as_bytes());
            let [answer] = &all[..] else { panic!("{lines:?}: {all:?}") };
            assert!((400..=505).contains(&answer.status), "{lines:?}: {answer:?}");
        }
    }
    site.finish();
}

#[test]
fn no_spelling_of_a_path_leads_out_of_an_alias() {
    let site = site();
    site.log.expect(&["WSGI0135: the script does not exist or cannot be read"]);
    for outside in ["secret.wsgi", "scripts-beside/out.wsgi", "httpd.conf", "apps/site.wsgi"] {
        for up in ["..", "%2e%2e", ".%2e", "%2E.", "..%2f.", "..%5c..", "%252e%252e", "..;", "./..", "%c0%ae%c0%ae"] {
            for start in ["/directory/", "/directory//", "/directory/./", "/directory/in.wsgi/", "/directory%2f"] {
                let path = format!("{start}{up}/{outside}");
                let mut client = site.client();
                let answer = client.exchange("GET", &path, &[], b"").expect("an answer");
                if answer.status == 200 {
                    // Within the script that is allowed, what follows it is its own affair.
                    let file = seen(&answer)["SCRIPT_FILENAME"].clone();
                    assert!(file.ends_with("/scripts/in.wsgi"), "{path}: {file}");
                } else {
                    assert!((300..500).contains(&answer.status), "{path}: {answer:?}");
                }
            }
        }
    }
    assert_eq!(site.get("/directory-beside/out.wsgi").status, 404, "a sibling of the alias's URL");
    assert_eq!(site.get("/directory/in.wsgi").status, 200);
    site.finish();
}

/// Serves a file of 1000 bytes.
const FILE: &str = r#"
def application(environ, start_response):
    file = open(__file__.replace("apps/site.wsgi", "content"), "rb")
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", "1000")])
    return environ["wsgi.file_wrapper"](file)
"#;

#[test]
fn ranges_give_bytes_of_the_file_and_no_more_than_it_has() {
    let content: String = (0..1000).map(|n| char::from(b'a' + (n % 26) as u8)).collect();
    let site = Httpd::both_modes("threads=2", FILE).file("content", &content).start();
    let table = [
        ("bytes=0-0", 206),
        ("bytes=999-", 206),
        ("bytes=-1", 206),
        ("bytes=-2000", 206),
        ("bytes=990-99999999999999999999", 206),
        ("bytes=1000-", 416),
        ("bytes=-0", 416),
        ("bytes=5-4", 200),
        ("bytes=--1", 200),
        ("bytes=a-b", 200),
        ("bytes=18446744073709551616-", 200),
        ("bytes=0x1-2", 200),
        ("bits=0-1", 200),
        ("bytes=", 200),
    ];
    for mode in MODES {
        let mut client = site.client();
        for (range, status) in table {
            let answer = client.exchange("GET", mode, &[&format!("Range: {range}")], b"").expect("an answer");
            let allowed = [status, 200, 416];
            assert!(allowed.contains(&answer.status), "{mode} {range}: {}", answer.status);
            assert!(answer.complete, "{mode} {range}");
            match answer.status {
                200 => assert_eq!(answer.text(), content, "{mode} {range}"),
                206 => assert!(content.contains(&answer.text()) && !answer.body.is_empty(), "{mode} {range}"),
                _ => {}
            }
        }
    }
    // More than Apache answers one by one (MaxRanges), and each of nearly the whole file: the answer must not be a
    // multiple of it.
    let many = format!("Range: bytes={}", (0..300).map(|n| format!("{n}-")).collect::<Vec<_>>().join(","));
    for mode in MODES {
        let answer = site.client().exchange("GET", mode, &[&many], b"").expect("an answer");
        assert!(answer.body.len() <= 2 * content.len(), "{mode}: {} {}", answer.status, answer.body.len());
    }
    site.finish();
}

#[test]
fn a_thousand_mutated_requests_get_answers_and_leave_the_server_whole() {
    let site = site();
    site.log.expect(&["WSGI0174: "]);
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    for n in 0..1000 {
        let mode = MODES[n % 2];
        let mut request = format!(
            "POST {mode}/a?b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nX-One: 1\r\nCookie: a=b\r\n\r\nhello"
        )
        .into_bytes();
        for _ in 0..=next(3) {
            let at = next(request.len());
            match next(4) {
                0 => request[at] = next(256) as u8,
                1 => request.insert(at, b"\r\n\0 :;,\t"[next(8)]),
                2 => drop(request.remove(at)),
                _ => request.truncate(at.max(1)),
            }
        }
        let mut client = Client::connect(site.port());
        let _ = client.send(&request);
        let _ = client.end_of_requests();
        if client.answers().unwrap_or(false) {
            if let Ok(answer) = client.answer("POST") {
                assert!((200..=505).contains(&answer.status), "{:?}: {answer:?}", String::from_utf8_lossy(&request));
            }
        }
    }
    for mode in MODES {
        assert_eq!(site.get(mode).status, 200);
    }
    site.finish();
}
