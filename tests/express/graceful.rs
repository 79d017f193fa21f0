//! A graceful restart of a generated server whose workers are all busy.

use harness::{Express, Foreground, Scratch, Site, eventually, kill};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

/// An application whose `/slow` waits for a file.
const SLOW: &str = "\
import os, time
GO = os.path.join(os.path.dirname(__file__), 'go')
def application(environ, start_response):
    while environ['PATH_INFO'] == '/slow' and not os.path.exists(GO):
        time.sleep(0.05)
    start_response('200 OK', [('Content-Length', '4')])
    return [b'done']
";

/// Keeps every thread of the application busy.
fn occupy<'s>(scope: &'s Scope<'s, '_>, server: &'s Foreground) -> Vec<ScopedJoinHandle<'s, u16>> {
    let ask = move || server.try_request("GET", "/slow", &[], b"").map_or(0, |answer| answer.status);
    let all = (0..5).map(|_| scope.spawn(ask)).collect();
    let busy = || {
        let root = server.server_root().display().to_string();
        let done = Express::new(&["status", "--format", "json", "--server-root", &root]).run();
        let status: serde_json::Value = serde_json::from_str(&done.text).ok()?;
        let processes = status["groups"][0]["processes"].as_array()?.clone();
        processes.iter().any(|p| p["state"] == "ready" && p["threads_busy"] == 5).then_some(())
    };
    assert!(eventually(Duration::from_secs(20), busy).is_some(), "the application is busy");
    all
}

#[test]
fn new_requests_are_answered_while_those_of_two_configurations_before_go_on() {
    let directory = Scratch::new();
    directory.write("slow.wsgi", SLOW);
    let words =
        ["start-server", "slow.wsgi", "--max-clients", "30", "--graceful-timeout", "60", "--server-mpm", "event"];
    let server = Express::new(&words).within(directory.path()).start();
    thread::scope(|scope| {
        let mut waiting = Vec::new();
        for _ in 0..2 {
            waiting.extend(occupy(scope, &server));
            kill(server.pid(), libc::SIGUSR1);
            let answers =
                || server.try_request("GET", "/", &[], b"").is_ok_and(|answer| answer.status == 200).then_some(());
            assert!(eventually(Duration::from_secs(20), answers).is_some(), "new requests wait for the old ones");
            assert!(waiting.iter().all(|old| !old.is_finished()), "they go on");
        }
        directory.write("go", "");
        let statuses: Vec<u16> = waiting.into_iter().map(|old| old.join().expect("an answer")).collect();
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    });
}
