//! What one side can make another spend has a bound, and a test goes to it.

use harness::{Httpd, Site};
use std::time::{Duration, Instant};

/// `/leak` takes every descriptor that there is, and keeps it.
const LEAKS: &str = r#"
import os, resource, time

resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
kept = []

def application(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        try:
            while True:
                kept.append(os.open("/dev/null", 0))
        except OSError:
            pass
    elif environ["PATH_INFO"] == "/slow":
        time.sleep(0.3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

#[test]
fn a_process_without_descriptors_is_replaced_and_does_not_fill_the_log() {
    let site = Httpd::site("threads=4", LEAKS).start();
    let leaking = site.get("/leak").text();
    // More at once than there are connections, so that some have to be accepted.
    let began = Instant::now();
    let clients: Vec<_> = (0..8).map(|_| site.in_background("/slow")).collect();
    let answers: Vec<_> = clients.into_iter().map(|client| client.join().expect("a client").0).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}: {}", site.log.text());
    assert!(answers.iter().any(|answer| answer.text() != leaking), "nobody took its place: {}", site.log.text());
    // What is noticed every 100 ms is told once.
    let log = site.log.text();
    assert_eq!(log.matches("can accept no connection: ").count(), 1, "{} s: {log}", began.elapsed().as_secs());
    assert!(log.contains("(exhausted)") && log.len() < 8 << 10, "{log}");
    let gone = || (site.get("/slow").text() != leaking).then_some(());
    assert!(harness::eventually(Duration::from_secs(10), gone).is_some());
    site.finish();
}
