//! Request bodies that break off, or are none: the application hears of it, and the client gets one answer.

use harness::{Answer, Httpd, MODES, Site};

/// Reads the body; the path says what is done before, and when that fails.
const READING: &str = r#"
def application(environ, start_response):
    input, page = environ["wsgi.input"], environ["PATH_INFO"]
    seen = []
    if page.startswith("/begun"):
        start_response("200 OK", [("Content-Type", "text/plain")])(b"begun ")
    for read in (lambda: input.read(3), input.read, input.readline):
        try:
            seen.append(read().decode())
        except OSError as error:
            if page.endswith("/raises"):
                raise
            seen.append(str(error).replace("mod_wsgi request data read error", "failed"))
    if not page.startswith("/begun"):
        start_response("200 OK", [("Content-Type", "text/plain")])
    return ["; ".join(seen).encode()]
"#;

fn site() -> Httpd {
    Httpd::both_modes("threads=2", READING).conf("WSGIChunkedRequest On\nLimitRequestBody 300000\nTimeout 1").start()
}

/// Sends a request and no more after it, and reads everything that comes back.
fn send(site: &Httpd, path: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut client = site.client();
    client.send_head("POST", path, headers).expect("sent");
    client.send(body).expect("sent");
    client.end_of_requests().expect("half closed");
    let answer = client.answer("POST").expect("an answer");
    assert!(client.is_closed(), "{path}: nothing follows the answer, and the connection is of no more use");
    answer
}

#[test]
fn a_body_that_breaks_off_is_an_error_of_the_read_however_long_it_is() {
    let site = site();
    for mode in MODES {
        for length in [10, 200_000] {
            let headers = [&*format!("Content-Length: {length}")];
            let answer = send(&site, &format!("{mode}/catches"), &headers, b"short");
            let expected = "sho; failed: Connection was terminated; failed: input is already in error state";
            assert_eq!((answer.status, answer.text().as_str()), (200, expected), "{mode} {length}");
            assert_eq!(send(&site, &format!("{mode}/raises"), &headers, b"short").status, 500, "{mode} {length}");
            let begun = send(&site, &format!("{mode}/begun/raises"), &headers, b"short");
            assert_eq!((begun.text().as_str(), begun.complete), ("begun ", false), "{mode} {length}");
        }
    }
    site.finish();
}

#[test]
fn a_client_that_is_too_slow_with_its_body_gets_408() {
    let site = site();
    for mode in MODES {
        let mut client = site.client();
        client.send_head("POST", &format!("{mode}/raises"), &["Content-Length: 10"]).expect("sent");
        client.send(b"slow").expect("sent");
        let answer = client.answer("POST").expect("an answer");
        assert_eq!((answer.status, client.is_closed()), (408, true), "{mode}");
    }
    site.finish();
}

#[test]
fn a_chunk_that_is_none_gets_one_error_page_whatever_the_application_does() {
    let site = site();
    let chunked = ["Transfer-Encoding: chunked"];
    for mode in MODES {
        for page in ["/catches", "/raises"] {
            let answer = send(&site, &format!("{mode}{page}"), &chunked, b"3\r\nabc\r\nzz\r\n");
            assert_eq!(answer.status, 400, "{mode}{page}");
            assert_eq!(answer.text().matches("<html>").count(), 1, "{mode}{page}: {}", answer.text());
            assert!(answer.complete && !answer.text().contains("failed"), "{mode}{page}: {answer:?}");
        }
        let begun = send(&site, &format!("{mode}/begun/catches"), &chunked, b"3\r\nabc\r\nzz\r\n");
        let expected = "begun abc; failed: The request body is not valid; failed: input is already in error state";
        assert_eq!((begun.status, begun.text().as_str(), begun.complete), (200, expected, true), "{mode}");
    }
    site.finish();
}

#[test]
fn chunks_beyond_the_limit_get_413() {
    let site = site();
    let body = [&b"4e200\r\n"[..], &[b'x'; 320_000], b"\r\n0\r\n\r\n"].concat();
    for mode in MODES {
        let mut client = site.client();
        client.send_head("POST", &format!("{mode}/catches"), &["Transfer-Encoding: chunked"]).expect("sent");
        // Apache may close the connection before it has read everything.
        let _ = client.send(&body);
        assert_eq!(client.answer("POST").expect("an answer").status, 413, "{mode}");
    }
    site.finish();
}
