//! What has not been read of a request's body never becomes the next request, however the answer was made.

use harness::{Httpd, MODES, Site};

/// Answers in every way, and reads as much of the body before as the query says.
const ANSWERS: &str = r#"
def application(environ, start_response):
    kind = environ["PATH_INFO"].strip("/")
    if environ["QUERY_STRING"]:
        environ["wsgi.input"].read(int(environ["QUERY_STRING"]))
    plain = [("Content-Type", "text/plain")]
    if kind == "raise":
        raise ValueError("as the test wants it")
    if kind == "redirect":
        start_response("200 OK", plain + [("Location", "/static.txt")])
    elif kind == "redirect-to-application":
        start_response("200 OK", plain + [("Location", environ["SCRIPT_NAME"] + "/plain")])
    elif kind == "missing":
        start_response("404 Not Found", plain)
    elif kind == "nothing":
        start_response("204 No Content", [])
        return []
    else:
        start_response("200 OK", plain)
        if kind == "stream":
            return (piece for piece in [b"a", b"b"])
    return [b"answer"]
"#;

const KINDS: [&str; 7] = ["plain", "stream", "nothing", "redirect", "redirect-to-application", "missing", "raise"];

fn site() -> Httpd {
    Httpd::both_modes("threads=4", ANSWERS)
        .file("htdocs/static.txt", "static")
        .file(
            "htdocs/page.shtml",
            "<!--#include virtual=\"/daemon/plain?7\" --><!--#include virtual=\"/embedded/redirect\" -->",
        )
        .conf(
            "AddOutputFilter INCLUDES .shtml\nAcceptPathInfo On\n<Directory {root}/htdocs>\nOptions +Includes\n</Directory>\n\
             WSGIScriptAlias /own {apps}/site.wsgi process-group=site application-group=%{GLOBAL}\n\
             WSGIChunkedRequest On\n\
             <Location /own>\nWSGIErrorOverride On\nErrorDocument 404 /daemon/plain\nErrorDocument 500 /static.txt\n</Location>",
        )
        .start()
}

/// A body that reads as requests, wherever somebody begins to read it.
fn smuggled(length: usize) -> Vec<u8> {
    b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n".iter().copied().cycle().take(length).collect()
}

/// The body in chunks, if it shall be.
fn framed(body: &[u8], chunked: bool) -> (String, Vec<u8>) {
    if !chunked {
        return (format!("Content-Length: {}", body.len()), body.to_vec());
    }
    let mut framed = Vec::new();
    for piece in body.chunks(30_000) {
        framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        framed.extend_from_slice(piece);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    ("Transfer-Encoding: chunked".to_owned(), framed)
}

#[test]
fn an_unread_body_never_becomes_a_request() {
    let site = site();
    site.log.expect(&["WSGI0174: "]);
    let mut kept = 0;
    for place in [MODES[0], MODES[1], "/own", "/page.shtml"] {
        for kind in KINDS {
            for (length, read) in [(30, ""), (30, "7"), (70_000, ""), (70_000, "7"), (300_000, ""), (300_000, "1000")] {
                for (chunked, expect) in [(false, false), (true, false), (false, true)] {
                    let what = format!("{place}/{kind}?{read} {length} {chunked} {expect}");
                    let (frame, body) = framed(&smuggled(length), chunked);
                    let mut headers = vec![frame.as_str()];
                    if expect {
                        headers.push("Expect: 100-continue");
                    }
                    let mut client = site.client();
                    client.send_head("POST", &format!("{place}/{kind}?{read}"), &headers).expect("sent");
                    // The server may be done with the connection before it has everything, or the next request.
                    let _ = client
                        .send(&body)
                        .and_then(|()| client.send_head("GET", "/static.txt", &["Connection: close"]));
                    let answer = client.answer("POST").unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert!(answer.complete, "{what}: {answer:?}");
                    let rest = String::from_utf8_lossy(&client.rest()).into_owned();
                    let answers = rest.matches("HTTP/1.1 ").count();
                    assert!(answers <= 1, "{what}: {rest}");
                    assert!(
                        answers == 0 || rest.starts_with("HTTP/1.1 200") && rest.ends_with("static"),
                        "{what}: {rest}"
                    );
                    kept += answers;
                }
            }
        }
    }
    assert!(kept > 100, "connections with bodies that are all there are kept: {kept}");
    assert!(!site.log.text().contains("smuggled"));
    site.finish();
}
