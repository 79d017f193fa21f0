//! Requests of a process that has ended while something that it has started still holds its sockets.

use harness::{Httpd, Site, kill};

/// Starts, by a system call that neither Python nor the C library hears of, a process that holds all descriptors until
/// a file appears.
const LEAVES_ONE_BEHIND: &str = r#"
import ctypes, os, platform, signal, time

here = os.path.dirname(__file__)
CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]

def application(environ, start_response):
    if environ["PATH_INFO"] == "/leave":
        if ctypes.CDLL(None).syscall(CLONE, signal.SIGCHLD, 0, 0, 0, 0) == 0:
            for _ in range(600):
                if os.path.exists(here + "/released"):
                    break
                time.sleep(0.1)
            os._exit(0)
        while not os.path.exists(here + "/end"):
            time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"#;

#[test]
fn a_request_is_answered_when_its_process_has_ended_whoever_holds_its_sockets() {
    let site = Httpd::site("threads=1", LEAVES_ONE_BEHIND).conf(crate::status::LOCATION).start();
    site.log.expect(&["WSGI1307: …was ended by signal", "WSGI1026: "]);
    let pid: u32 = site.get("/").text().parse().expect("a pid");
    let running = site.in_background("/leave");
    crate::status::wait_for(&site, "it runs", |group| group["threads_busy"] == 1);
    let waiting = site.in_background("/");
    crate::status::wait_for(&site, "the other waits", |group| group["requests_in_flight"] == 2);
    assert!(kill(pid, libc::SIGKILL));
    // Both are answered while the other process still lives: it waits for the file.
    let (answer, _) = running.join().expect("a thread");
    assert_eq!(answer.status, 502, "{answer:?}");
    let (answer, _) = waiting.join().expect("a thread");
    assert_eq!(answer.status, 200, "it has not been executed: {answer:?}");
    assert_ne!(answer.text().parse::<u32>().expect("a pid"), pid);
    site.write("apps/released", "");
    site.finish();
}
