//! What `WSGITelemetryService` names may be anything that its directory's owner has put there: nobody waits for it, and
//! it hears nothing that is secret.

use harness::{Httpd, MODES, Site};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::{Duration, Instant};

const SLOW: &str = r#"
import time

def application(environ, start_response):
    if environ["PATH_INFO"].startswith("/slow"):
        time.sleep(0.3)
    start_response("200 OK", [])
    return [b"hello"]
"#;

fn site(mode: u32) -> Httpd {
    let site = Httpd::both_modes("threads=3", SLOW)
        .conf(
            "WSGITelemetryService unix:{root}/told/t.sock interval=0.5\nWSGISlowRequests 0.1\n\
             WSGITelemetryOptions +CaptureUserAgent",
        )
        .file("told/other", "")
        .start();
    site.log.expect(&["WSGI1212: "]);
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(site.root().join("told"), everybody).expect("a directory");
    site
}

/// What somebody may put in the place of the socket; what has to stay open with it.
fn put(kind: &str, target: &Path) -> Vec<Box<dyn std::any::Any>> {
    let for_all = || std::os::unix::fs::PermissionsExt::from_mode(0o777);
    match kind {
        "fifo" => {
            let made = std::process::Command::new("mkfifo").args(["-m", "666"]).arg(target).status();
            assert!(made.is_ok_and(|status| status.success()));
            Vec::new()
        }
        "stream" => {
            let listener = UnixListener::bind(target).expect("a socket");
            std::fs::set_permissions(target, for_all()).expect("for all");
            vec![Box::new(listener)]
        }
        "full" => {
            let (silent, sender) =
                (UnixDatagram::bind(target).expect("a socket"), UnixDatagram::unbound().expect("one"));
            std::fs::set_permissions(target, for_all()).expect("for all");
            sender.set_nonblocking(true).expect("no wait");
            while sender.send_to(&[0; 1000], target).is_ok() {}
            vec![Box::new(silent), Box::new(sender)]
        }
        "loop" => {
            symlink(target, target).expect("a link");
            Vec::new()
        }
        "file" => {
            std::fs::write(target, "").expect("a file");
            Vec::new()
        }
        "directory" => {
            std::fs::create_dir(target).expect("a directory");
            Vec::new()
        }
        _ => Vec::new(),
    }
}

#[test]
fn nobody_waits_for_what_is_in_the_place_of_the_socket() {
    for kind in ["nothing", "fifo", "stream", "full", "loop", "file", "directory"] {
        let mut site = site(0o777);
        let kept = put(kind, &site.root().join("told/t.sock"));
        for mode in MODES {
            for path in ["", "/slow", ""] {
                assert_eq!(site.get(&format!("{mode}{path}")).text(), "hello", "{kind}");
            }
        }
        // Some reports later, which nobody is there to receive.
        std::thread::sleep(Duration::from_millis(1200));
        for mode in MODES {
            assert_eq!(site.get(mode).text(), "hello", "{kind}");
        }
        let log = site.log.text();
        assert!(log.len() < 16 << 10, "{kind}: {log}");
        let begun = Instant::now();
        assert!(site.stop().is_some(), "{kind}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{kind}: {:?}", begun.elapsed());
        drop(kept);
        site.finish();
    }
}

#[test]
fn who_listens_hears_no_secret_and_no_endless_text() {
    let site = site(0o777);
    let target = site.root().join("told/t.sock");
    let socket = UnixDatagram::bind(&target).expect("a socket");
    std::fs::set_permissions(&target, std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("for all");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    for mode in MODES {
        let path = format!("{mode}/slow/{}?token=query-secret", "%C5%82x".repeat(200));
        let headers = [
            ("Cookie", "session=cookie-secret"),
            ("Authorization", "Basic authorization-secret"),
            ("Referer", "http://a/?referer-secret"),
            ("User-Agent", &"agent".repeat(1000)),
        ];
        assert_eq!(site.request("GET", &path, &headers, b"body-secret").text(), "hello");
    }
    let (mut buffer, mut slow, begun) = (vec![0; 1 << 16], std::collections::BTreeSet::new(), Instant::now());
    while slow.len() < MODES.len() && begun.elapsed() < Duration::from_secs(30) {
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        let told = &buffer[..length];
        assert!(told.starts_with(b"WSGI") && length < 4096, "{length}");
        assert!(!told.windows(6).any(|part| part == b"secret"), "{}", String::from_utf8_lossy(told));
        // The kind, and the process.
        if told[5] == 4 {
            slow.insert(told[8..12].to_vec());
        }
    }
    assert_eq!(slow.len(), MODES.len(), "processes that have reported a slow request");
    site.finish();
}
