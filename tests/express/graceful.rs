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
fn occupy<'s>(scope: &'s Scope<'s, '_>, server: &'s Foreground, threads: usize) -> Vec<ScopedJoinHandle<'s, u16>> {
    let ask = move || server.try_request("GET", "/slow", &[], b"").map_or(0, |answer| answer.status);
    let all = (0..threads).map(|_| scope.spawn(ask)).collect();
    let busy = || {
        let root = server.server_root().display().to_string();
        let done = Express::new(&["status", "--format", "json", "--server-root", &root]).run();
        let status: serde_json::Value = serde_json::from_str(&done.text).ok()?;
        let processes = status["groups"][0]["processes"].as_array()?.clone();
        processes.iter().any(|p| p["state"] == "ready" && p["threads_busy"] == threads).then_some(())
    };
    assert!(eventually(Duration::from_secs(40), busy).is_some(), "the application is busy");
    all
}

/// Restarts a server `times` times in the middle of requests that take all threads of the application; each time a new
/// request is answered at once, and the old ones go on.
fn restarts_while_all_threads_are_busy(words: &[&str], threads: usize, times: usize) {
    let directory = Scratch::new();
    directory.write("slow.wsgi", SLOW);
    let number = threads.to_string();
    let usual = ["start-server", "slow.wsgi", "--graceful-timeout", "600", "--request-timeout", "600", "--threads"];
    let words: Vec<_> = usual.into_iter().chain([number.as_str()]).chain(words.iter().copied()).collect();
    let server = Express::new(&words).within(directory.path()).start();
    // A new request may come to a child that has not yet heard of the restart.
    server.console.expect(&["WSGI1019: "]);
    thread::scope(|scope| {
        let mut waiting = Vec::new();
        for time in 0..times {
            waiting.extend(occupy(scope, &server, threads));
            kill(server.pid(), libc::SIGUSR1);
            let answers =
                || server.try_request("GET", "/", &[], b"").is_ok_and(|answer| answer.status == 200).then_some(());
            assert!(eventually(Duration::from_secs(40), answers).is_some(), "{time}: new requests wait for old ones");
            assert!(waiting.iter().all(|old| !old.is_finished()), "they go on");
        }
        directory.write("go", "");
        let statuses: Vec<u16> = waiting.into_iter().map(|old| old.join().expect("an answer")).collect();
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    });
}

#[test]
fn new_requests_are_answered_while_those_of_three_configurations_before_go_on() {
    restarts_while_all_threads_are_busy(&["--max-clients", "30", "--server-mpm", "event"], 10, 3);
}

#[test]
fn the_mpm_worker_has_room_for_old_children() {
    restarts_while_all_threads_are_busy(&["--server-mpm", "worker"], 10, 3);
}

#[test]
fn the_mpm_prefork_has_room_for_old_children() {
    restarts_while_all_threads_are_busy(&["--server-mpm", "prefork"], 10, 3);
}

#[test]
fn workers_of_the_configuration_before_do_not_count_against_the_limit_of_the_group() {
    // Of 20 workers the application may have 18.
    restarts_while_all_threads_are_busy(&["--max-clients", "20", "--server-mpm", "event"], 18, 2);
}
