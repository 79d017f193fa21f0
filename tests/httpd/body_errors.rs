//! Request bodies that break off, or are none: the application hears of it, and the client gets one answer.

use std::thread;
use std::time::Duration;

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
    site.log.expect(&["WSGI0174: "]);
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
    site.log.expect(&["WSGI0174: "]);
    for mode in MODES {
        // The page that an application makes of the failure is not the answer either: Django turns it into a 500.
        for (page, length) in [("/raises", 10), ("/catches", 10), ("/catches", 200_000)] {
            let mut client = site.client();
            client.send_head("POST", &format!("{mode}{page}"), &[&format!("Content-Length: {length}")]).expect("sent");
            client.send(b"slow").expect("sent");
            let answer = client.answer("POST").expect("an answer");
            assert_eq!((answer.status, client.is_closed()), (408, true), "{mode}{page} {length}");
        }
    }
    site.finish();
}

#[test]
fn a_chunk_that_is_none_gets_one_error_page_whatever_the_application_does() {
    let site = site();
    site.log.expect(&["WSGI0174: "]);
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

/// Answers CONTENT_LENGTH and the length of what can be read.
const MEASURES: &str = r#"
def application(environ, start_response):
    length, body = environ.get("CONTENT_LENGTH"), environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("%s %d" % (length, len(body))).encode()]
"#;

#[test]
fn content_length_is_that_of_the_expanded_body_or_none() {
    let site = Httpd::both_modes("", MEASURES)
        .conf("<LocationMatch /(daemon|embedded)>\nSetInputFilter DEFLATE\n</LocationMatch>\nWSGIChunkedRequest On")
        .start();
    for mode in MODES {
        // Read ahead as a whole, in one frame or not; and too long for that.
        for length in [7, 50_000, 200_000, 3_000_000] {
            let expected = if length > 1 << 20 { format!("None {length}") } else { format!("{length} {length}") };
            let body = compressed(length);
            let answer = site.request("POST", mode, &[("Content-Encoding", "gzip")], &body);
            assert_eq!((answer.status, answer.text()), (200, expected), "{mode}");
        }
        assert_eq!(site.post(mode, b"plain").text(), "5 5", "{mode}");
        // The length is that of all, however long the client pauses.
        for length in [7, 50_000] {
            let body = compressed(length);
            let (first, rest) = body.split_at(body.len() / 2);
            let mut client = site.client();
            let announced = format!("Content-Length: {}", body.len());
            client.send_head("POST", mode, &["Content-Encoding: gzip", &announced]).expect("sent");
            client.send(first).expect("sent");
            // Longer than any pause that makes a body stream.
            thread::sleep(Duration::from_millis(1500));
            client.send(rest).expect("sent");
            let answer = client.answer("POST").expect("an answer");
            assert_eq!(answer.text(), format!("{length} {length}"), "{mode}");
        }
    }
    site.finish();
}

#[test]
fn a_body_that_cannot_be_expanded_is_the_clients_fault() {
    let site = Httpd::both_modes("", MEASURES)
        .conf("<LocationMatch /(daemon|embedded)>\nSetInputFilter DEFLATE\n</LocationMatch>\nWSGIChunkedRequest On")
        .expect_log(&["WSGI0174: "])
        .start();
    let broken = |length| {
        let mut body = compressed(length);
        let middle = body.len() / 2;
        body[middle..middle + 100].fill(0xff);
        body
    };
    for mode in MODES {
        for body in [b"this is no archive at all".to_vec(), broken(50_000), broken(3_000_000)] {
            let answer = site.request("POST", mode, &[("Content-Encoding", "gzip")], &body);
            assert_eq!(answer.status, 400, "{mode}: {} bytes", body.len());
        }
    }
    site.finish();
}

/// So many bytes, as `gzip` writes them: not so regular that mod_deflate takes them for an attack.
fn compressed(length: usize) -> Vec<u8> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut random: u32 = 1;
    let content: Vec<u8> = (0..length)
        .map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'a' + (random >> 28) as u8
        })
        .collect();
    let mut gzip =
        Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip can be executed");
    let mut stdin = gzip.stdin.take().expect("a pipe");
    // Read meanwhile: a pipe holds less than that.
    let writer = std::thread::spawn(move || stdin.write_all(&content));
    let output = gzip.wait_with_output().expect("gzip ends").stdout;
    writer.join().expect("a thread").expect("written");
    output
}

#[test]
fn the_408_of_mod_reqtimeout_wins_over_the_page_of_the_application() {
    let site = Httpd::both_modes("threads=2", READING).conf("RequestReadTimeout body=1").start();
    for mode in MODES {
        for length in [10, 200_000] {
            let mut client = site.client();
            let length = format!("Content-Length: {length}");
            client.send_head("POST", &format!("{mode}/catches"), &[&length]).expect("sent");
            client.send(b"abc").expect("sent");
            assert_eq!(client.answer("POST").expect("an answer").status, 408, "{mode} {length}");
        }
    }
    site.finish();
}
