//! A small answer is written before Apache looks for the client's next request, and after everything else that its own
//! request had to do.

use std::time::Duration;

use harness::{Httpd, MODES, Site, eventually};

const SIZED: &str = r#"
def application(environ, start_response):
    size = int(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(size))])
    return [b"x" * size]
"#;

/// Where Apache's `mod_dumpio` sees that something is to be sent at once.
const AT_ONCE: &str = "dumpio_out (metadata-FLUSH)";

/// Whether so many of three answers are sent at once. What was written before may be here before Apache has logged
/// that.
fn are_sent_at_once(site: &Httpd, path: &str, headers: &[&str], expected: usize) -> bool {
    let mut client = site.client();
    for _ in 0..3 {
        let answer = client.exchange("GET", path, headers, b"").expect("an answer");
        assert!(answer.status == 200 && answer.complete, "{answer:?}");
    }
    let name = client.name();
    let count = || site.log.text().lines().filter(|line| line.contains(&name) && line.contains(AT_ONCE)).count();
    eventually(Duration::from_secs(10), || (count() == expected).then_some(())).is_some()
}

#[test]
fn a_small_answer_is_sent_at_once_and_a_large_one_when_its_client_takes_it() {
    let site = Httpd::both_modes("threads=2", SIZED)
        .conf("DumpIOOutput On\nLogLevel dumpio:trace7\nAddOutputFilterByType DEFLATE text/plain")
        .start();
    for mode in MODES {
        for size in [0, 1, 16 << 10] {
            assert!(are_sent_at_once(&site, &format!("{mode}/?{size}"), &[], 3), "{mode} {size}");
        }
        assert!(are_sent_at_once(&site, &format!("{mode}/?{}", (16 << 10) + 1), &[], 0), "{mode}");
        assert!(are_sent_at_once(&site, &format!("{mode}/?100"), &["Accept-Encoding: gzip"], 3), "{mode}");
    }
    site.finish();
}

#[test]
fn who_has_an_answer_finds_no_trace_of_its_request_in_the_way_of_the_next() {
    let site = Httpd::site("threads=1 worker-limit=1", SIZED).start();
    for size in [0, 10] {
        for _ in 0..200 {
            let answer = site.client().exchange("GET", &format!("/?{size}"), &[], b"").expect("an answer");
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    site.finish();
}

#[test]
fn requests_that_come_together_are_answered_in_order_with_and_without_a_body() {
    let site = Httpd::both_modes("threads=2", SIZED).start();
    for mode in MODES {
        let sizes = [3, 70_000, 0, 5, 16 << 10, 1, 40_000, 2];
        let mut client = site.client();
        for size in sizes {
            client.send_head("GET", &format!("{mode}/?{size}"), &[]).expect("sent");
            client.send_head("HEAD", &format!("{mode}/?{size}"), &[]).expect("sent");
        }
        for size in sizes {
            let answer = client.answer("GET").expect("an answer");
            assert_eq!((answer.status, answer.body.len(), answer.complete), (200, size, true), "{mode}");
            // Apache leaves out a length of 0.
            let lengths = if size > 0 { vec![size.to_string()] } else { Vec::new() };
            let answer = client.answer("HEAD").expect("an answer");
            assert_eq!(
                (answer.status, answer.all("content-length")),
                (200, lengths.iter().map(|l| &**l).collect()),
                "{mode}"
            );
        }
    }
    site.finish();
}
