//! What Apache's threads do to others when they are woken.
#![cfg(target_os = "linux")]

use harness::{Builder, Client, Httpd, Role, Site, cannot_run, eventually, module};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const BATCH: &str = "3";
const USUAL: &str = "0";
const PATIENCE: Duration = Duration::from_secs(30);

/// Says how its own thread is scheduled.
const POLICY: &str = r#"
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.sched_getscheduler(0)).encode()]
"#;

/// A server with that at `/daemon` and `/embedded`, whose clients may stay as long as they like.
fn server() -> Builder {
    Httpd::both_modes("threads=2", POLICY).conf("MaxKeepAliveRequests 0")
}

/// Whether threads may be scheduled otherwise here, and are not; else the test named so is not run.
fn may_run(test: &str) -> bool {
    let may = Command::new("chrt").args(["--batch", "0", "true"]).output().is_ok_and(|chrt| chrt.status.success());
    let is_usual = policy(Path::new("/proc/self/stat")).as_deref() == Some(USUAL);
    if !(may && is_usual) {
        cannot_run(test, "threads are scheduled otherwise, or may not be");
    }
    may && is_usual
}

fn policy(stat: &Path) -> Option<String> {
    policy_in(&fs::read_to_string(stat).ok()?)
}

/// The policy in a line of `/proc/PID/stat` (proc(5)): the 41st field; the state, behind the name in parentheses, is
/// the third.
fn policy_in(stat: &str) -> Option<String> {
    stat.rsplit(')').next()?.split_whitespace().nth(41 - 3).map(str::to_owned)
}

/// How many threads of these processes give way.
fn giving_way(pids: &[u32]) -> usize {
    let tasks = pids.iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten());
    tasks.filter(|task| policy(&task.path().join("stat")).as_deref() == Some(BATCH)).count()
}

fn of(site: &Httpd, role: Role) -> Vec<u32> {
    site.census().into_iter().filter(|member| member.role == role).map(|member| member.pid).collect()
}

fn ask(client: &mut Client, path: &str) -> String {
    let answer = client.exchange("GET", path, &[], b"").expect("an answer");
    assert_eq!(answer.status, 200);
    answer.text()
}

/// Asks as fast as can be until the worker gives way.
fn hurry(client: &mut Client) {
    let seen = eventually(PATIENCE, || (0..100).any(|_| ask(client, "/embedded") == BATCH).then_some(()));
    assert!(seen.is_some(), "nobody gives way");
}

/// Waits until nobody gives way.
fn is_over(site: &Httpd) {
    let children = of(site, Role::Child);
    let over = eventually(PATIENCE, || (giving_way(&children) == 0).then_some(()));
    assert!(over.is_some(), "who does not serve such a client gives way");
}

#[test]
fn a_worker_whose_client_hurries_gives_way_until_the_client_pauses_or_goes() {
    if !may_run("a_worker_whose_client_hurries_gives_way_until_the_client_pauses_or_goes") {
        return;
    }
    let site = server().start();
    let mut client = Client::connect(site.port());
    hurry(&mut client);
    is_over(&site);
    hurry(&mut client);
    drop(client);
    is_over(&site);
    site.finish();
}

#[test]
fn a_worker_gives_way_behind_requests_of_a_daemon_process_which_does_not() {
    if !may_run("a_worker_gives_way_behind_requests_of_a_daemon_process_which_does_not") {
        return;
    }
    let site = server().start();
    let mut client = Client::connect(site.port());
    let gives_way = |client: &mut Client| {
        assert_eq!(ask(client, "/daemon"), USUAL, "others wait for the application");
        ask(client, "/embedded") == BATCH
    };
    let seen = eventually(PATIENCE, || (0..100).any(|_| gives_way(&mut client)).then_some(()));
    assert!(seen.is_some(), "nobody gives way");
    is_over(&site);
    site.finish();
}

/// Streams until there is a file named `over` beside it.
const STREAM: &str = r#"
import os, time
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    over = os.path.join(os.path.dirname(__file__), "over")
    while not os.path.exists(over):
        yield b"x" * 65536
        time.sleep(0.01)
"#;

#[test]
fn workers_with_long_responses_give_way_where_there_are_more_of_them_than_processors() {
    let name = "workers_with_long_responses_give_way_where_there_are_more_of_them_than_processors";
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    if most > 8 {
        return cannot_run(name, "there are more processors than one Apache child has workers for");
    }
    if !may_run(name) {
        return;
    }
    let clients = 2 * most + 2;
    let options = format!("threads={clients}");
    for (linger, give_way) in [("On", true), ("Off", false)] {
        let site = Httpd::site(&options, STREAM).conf(&format!("WSGILinger {linger}")).start();
        let port = site.port();
        let stream = move || Client::connect(port).exchange("GET", "/", &[], b"").map(|answer| answer.status);
        let streams: Vec<_> = (0..clients).map(|_| std::thread::spawn(stream)).collect();
        let seen = eventually(if give_way { PATIENCE } else { Duration::from_secs(1) }, || {
            (giving_way(&of(&site, Role::Child)) > most / 2).then_some(())
        });
        assert_eq!(seen.is_some(), give_way, "WSGILinger {linger}");
        site.write("apps/over", "");
        for stream in streams {
            assert_eq!(stream.join().expect("a client").expect("an answer"), 200);
        }
        is_over(&site);
        site.finish();
    }
}

#[test]
fn threads_of_ours_that_begin_on_such_a_worker_do_not_give_way() {
    if !may_run("threads_of_ours_that_begin_on_such_a_worker_do_not_give_way") {
        return;
    }
    let site = server().start();
    let port = site.port();
    // The first request at a time with another one starts executors.
    let clients: Vec<_> = (0..4).map(|_| std::thread::spawn(move || hurry(&mut Client::connect(port)))).collect();
    clients.into_iter().for_each(|client| client.join().expect("a client"));
    is_over(&site);
    site.finish();
}

#[test]
fn nobody_gives_way_without_linger() {
    if !may_run("nobody_gives_way_without_linger") {
        return;
    }
    let site = server().conf("WSGILinger Off").start();
    let mut client = Client::connect(site.port());
    for _ in 0..1000 {
        assert_eq!(ask(&mut client, "/embedded"), USUAL);
    }
    site.finish();
}

#[test]
fn programs_of_other_modules_begin_as_usual() {
    let name = "programs_of_other_modules_begin_as_usual";
    let Some(cgi) = module("cgi") else { return cannot_run(name, "needs mod_cgi") };
    if !may_run(name) {
        return;
    }
    let site = server()
        .conf(&format!("LoadModule cgi_module {}\nScriptAlias /cgi {{root}}/policy.cgi", cgi.display()))
        .file("policy.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\ncat /proc/self/stat\n")
        .start();
    fs::set_permissions(site.root().join("policy.cgi"), fs::Permissions::from_mode(0o755)).expect("a file");
    let mut client = Client::connect(site.port());
    for _ in 0..5 {
        hurry(&mut client);
        assert_eq!(policy_in(&ask(&mut client, "/cgi")).as_deref(), Some(USUAL));
    }
    site.finish();
}
