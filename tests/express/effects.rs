//! Options that only somebody notices who looks closely: what comes of each.

use harness::{Client, Express, Foreground, PROBE, Scratch, Site, cannot_run, eventually, product};
use std::process::Command;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(60);

fn start(directory: &Scratch, words: &[&str]) -> Foreground {
    directory.write("app.wsgi", PROBE);
    let words: Vec<_> = ["start-server", "app.wsgi"].into_iter().chain(words.iter().copied()).collect();
    Express::new(&words).within(directory.path()).start()
}

/// Apache's idle workers.
fn idle(server: &Foreground) -> Option<u32> {
    let status = server.try_request("GET", "/server-status?auto", &[], b"").ok()?.text();
    status.lines().find_map(|line| line.strip_prefix("IdleWorkers: "))?.parse().ok()
}

#[test]
fn as_many_workers_are_idle_as_are_to_be_spare_at_least() {
    let directory = Scratch::new();
    let words = ["--server-status", "--server-mpm", "event", "--max-clients", "100"];
    let words: Vec<_> = words.into_iter().chain(["--minimum-spare-workers", "0.75"]).collect();
    let server = start(&directory, &[&words[..], &["--maximum-spare-workers", "1"]].concat());
    // One child of 25 is started; it takes two more to have so many besides the one that answers this.
    let enough = || idle(&server).filter(|workers| *workers >= 70).map(drop);
    assert!(eventually(DEADLINE, enough).is_some(), "{:?} workers are idle", idle(&server));
}

#[test]
fn no_more_workers_stay_idle_than_may_be_spare() {
    let directory = Scratch::new();
    let words = ["--server-status", "--server-mpm", "event", "--max-clients", "100", "--initial-workers", "1"];
    let words: Vec<_> = words.into_iter().chain(["--minimum-spare-workers", "0.25"]).collect();
    let server = start(&directory, &[&words[..], &["--maximum-spare-workers", "0.5"]].concat());
    // All four children of 25 are started.
    let enough = || idle(&server).filter(|workers| *workers <= 50).map(drop);
    assert!(eventually(DEADLINE, enough).is_some(), "{:?} workers are idle", idle(&server));
}

#[test]
fn so_many_connections_may_wait_for_apache() {
    let directory = Scratch::new();
    let server = start(&directory, &["--server-backlog", "37"]);
    let Ok(sockets) = Command::new("ss").args(["-ltn", &format!("sport = :{}", server.port())]).output() else {
        return cannot_run("so_many_connections_may_wait_for_apache", "there is no ss to ask");
    };
    let listed = String::from_utf8_lossy(&sockets.stdout).into_owned();
    // State, Recv-Q, Send-Q: of a socket that listens, the backlog.
    let backlog = listed.lines().nth(1).and_then(|line| line.split_whitespace().nth(2));
    assert_eq!(backlog, Some("37"), "{listed}");
}

#[test]
fn the_startup_log_has_the_name_that_is_given() {
    let directory = Scratch::new();
    let logs = directory.path().join("logs").display().to_string();
    let server = start(&directory, &["--log-directory", &logs, "--startup-log", "--startup-log-name", "begin.log"]);
    assert_eq!(server.ask("1"), 1);
    assert!(directory.path().join("logs/begin.log").is_file() && !directory.path().join("logs/startup_log").exists());
    assert!(server.console.text().contains(&format!("{logs}/begin.log")), "{}", server.console.text());
}

#[test]
fn logs_are_rotated_by_the_program_that_is_given() {
    let directory = Scratch::new();
    let rotate = directory
        .write("rotate", "#!/bin/sh\necho \"$@\" >>\"$(dirname \"$0\")/asked\"\nexec cat >>\"${1%%.*}.mine\"\n");
    let (rotate, logs) = (rotate.display().to_string(), directory.path().join("logs").display().to_string());
    let words = ["--log-directory", &logs, "--rotate-logs", "--max-log-size", "7", "--access-log"];
    let server = start(&directory, &[&words[..], &["--rotatelogs-executable", &rotate]].concat());
    assert_eq!(server.ask("1"), 1);
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
    let logged = eventually(DEADLINE, || read("logs/access_log.mine").contains("GET /?1").then_some(()));
    assert!(logged.is_some(), "{}", read("asked"));
    assert!(read("asked").contains("7M"), "{}", read("asked"));
}

/// Sends a byte of a header line again and again until there is an answer or it has done so `times` times; the status.
fn dribble(server: &Foreground, times: usize) -> Option<u16> {
    let mut client = Client::connect(server.port());
    client.send(b"GET /?1 HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").expect("sent");
    for _ in 0..times {
        if client.send(b"x").is_err() || client.answers().unwrap_or(true) {
            break;
        }
        // The pace of a slow client.
        std::thread::sleep(Duration::from_millis(100));
    }
    // It may have been told and closed already.
    let _ = client.send(b"\r\n\r\n");
    client.status().ok()
}

#[test]
fn headers_may_take_as_long_as_they_come_fast_enough() {
    let directory = Scratch::new();
    let limits = ["--header-timeout", "1", "--header-max-timeout", "60", "--header-min-rate"];
    // Each byte brings a second more.
    let patient = start(&directory, &[&limits[..], &["1"]].concat());
    assert_eq!(dribble(&patient, 25), Some(200));
    let strict = start(&directory, &[&limits[..], &["1000000"]].concat());
    assert_ne!(dribble(&strict, 300), Some(200));
}

#[test]
fn a_body_may_take_no_longer_than_its_maximum_however_fast_it_comes() {
    let directory = Scratch::new();
    let words = ["--body-timeout", "1", "--body-max-timeout", "3", "--body-min-rate", "1", "--chunked-request"];
    let server = start(&directory, &words);
    let mut client = Client::connect(server.port());
    let head = ["Host: localhost", "Content-Length: 100000"];
    client.send_head("POST", "/?len(environ['wsgi.input'].read())", &head).expect("sent");
    let over = eventually(DEADLINE, || {
        let goes_on = client.send(b"x").is_ok() && !client.answers().unwrap_or(true);
        (!goes_on).then_some(())
    });
    assert!(over.is_some(), "it takes more than its maximum");
    assert_ne!(client.status().ok(), Some(200));
}

#[test]
fn free_threading_takes_a_python_that_can() {
    if product().python("bool(sysconfig.get_config_var('Py_GIL_DISABLED'))") == "True" {
        let directory = Scratch::new();
        let server = start(&directory, &["--free-threading"]);
        assert_eq!(server.ask("__import__('sys')._is_gil_enabled()"), false);
        return;
    }
    let directory = Scratch::new();
    directory.write("app.wsgi", PROBE);
    let done =
        Express::new(&["start-server", "app.wsgi", "--free-threading"]).within(directory.path()).with_place().run();
    assert!(done.code == Some(2) && done.text.contains("--free-threading needs a free-threaded Python"), "{done:?}");
}
