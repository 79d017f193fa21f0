//! An answer that is given before the request's body has come reaches the client at once (RFC 9112, 9.3 and 9.6).

use harness::{Httpd, MODES, Site};

const ANSWERS: &str = r#"
def application(environ, start_response):
    status = {"/created": "201 Created", "/missing": "404 Not Found", "/forbidden": "403 Forbidden"}[environ["PATH_INFO"]]
    start_response(status, [("Content-Type", "text/plain")])
    return [b"no body needed"]
"#;

#[test]
fn an_answer_does_not_wait_for_the_body_of_its_request() {
    let site = Httpd::both_modes("threads=2", ANSWERS)
        .conf(
            "WSGIDaemonProcess alone processes=1 threads=1\n\
             WSGIScriptAlias /alone {apps}/site.wsgi process-group=alone application-group=%{GLOBAL}",
        )
        .conf("WSGIChunkedRequest On\n<Location /daemon/forbidden>\nWSGIErrorOverride On\n</Location>")
        .conf("AddOutputFilterByType DEFLATE text/plain\nTimeout 20")
        .start();
    for mode in MODES.into_iter().chain(["/alone"]) {
        for page in ["/created", "/missing", "/forbidden"] {
            for framing in ["Content-Length: 10", "Content-Length: 100000", "Transfer-Encoding: chunked"] {
                for headers in [&[framing][..], &[framing, "Accept-Encoding: gzip"]] {
                    let mut client = site.client();
                    client.send_head("POST", &format!("{mode}{page}"), headers).expect("sent");
                    // Nothing of the body is sent: an answer that waited for it would not come before the time-out,
                    // which closes the connection.
                    let answer = client.answer("POST").unwrap_or_else(|e| panic!("{mode}{page} {headers:?}: {e}"));
                    assert!([201, 403, 404].contains(&answer.status), "{mode}{page} {headers:?}: {answer:?}");
                    assert!(answer.complete, "{mode}{page} {headers:?}: {answer:?}");
                }
            }
        }
    }
    site.finish();
}

#[test]
fn a_connection_whose_body_comes_after_the_answer_is_kept() {
    let site = Httpd::both_modes("threads=2", ANSWERS).start();
    for mode in MODES {
        for length in [10, 100_000] {
            let mut client = site.client();
            client
                .send_head("POST", &format!("{mode}/created"), &[&format!("Content-Length: {length}")])
                .expect("sent");
            assert_eq!(client.answer("POST").expect("an answer").status, 201, "{mode} {length}");
            client.send(&vec![b'x'; length]).expect("sent");
            let next = client.exchange("GET", &format!("{mode}/missing"), &[], b"").expect("an answer");
            assert_eq!(next.status, 404, "{mode} {length}");
        }
    }
    site.finish();
}
