//! What Apache's threads do to others when they are woken.
#![cfg(target_os = "linux")]

use harness::{Builder, Client, Httpd, Role, Site, cannot_run, curl_has, eventually, module};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};
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

/// A server with that at `/`, with so many clients, each by a way of its own, and with these lines. Returns whether
/// workers give way.
fn give_way(clients: usize, conf: &str, ask: impl Fn(&Httpd) -> Child) -> bool {
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    let site = Httpd::site(&format!("threads={clients}"), STREAM).conf(conf).start();
    let streams: Vec<_> = (0..clients).map(|_| ask(&site)).collect();
    let patience = if conf.is_empty() { PATIENCE } else { Duration::from_secs(1) };
    let seen = eventually(patience, || (giving_way(&of(&site, Role::Child)) > most / 2).then_some(()));
    site.write("apps/over", "");
    for mut stream in streams {
        assert!(stream.wait().expect("a client").success());
    }
    is_over(&site);
    site.finish();
    seen.is_some()
}

/// Clients enough for more requests than there are processors; `None`, and the test named so is not run, where Apache
/// has too few workers for that, or there is no curl with this `feature`.
fn crowd(test: &str, feature: &str) -> Option<usize> {
    if !curl_has(feature) {
        cannot_run(test, &format!("needs a curl that has {feature}"));
        return None;
    }
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    if most > 8 {
        cannot_run(test, "there are more processors than one Apache child has workers for");
        return None;
    }
    may_run(test).then_some(2 * most + 2)
}

/// curl, which asks for `/`.
fn curl(site: &Httpd, words: &[&str]) -> Child {
    let mut command = Command::new("curl");
    command.args(["-s", "-f", "-o", "/dev/null"]).args(words).arg(site.url("/")).spawn().expect("curl")
}

#[test]
fn workers_with_long_responses_give_way_where_there_are_more_of_them_than_processors() {
    let name = "workers_with_long_responses_give_way_where_there_are_more_of_them_than_processors";
    let Some(clients) = crowd(name, "http") else { return };
    assert!(give_way(clients, "", |site| curl(site, &[])));
    assert!(!give_way(clients, "WSGILinger Off", |site| curl(site, &[])));
}

#[test]
fn workers_of_http2_which_hear_of_no_end_do_not_give_way() {
    let name = "workers_of_http2_which_hear_of_no_end_do_not_give_way";
    let Some(http2) = module("http2") else { return cannot_run(name, "needs mod_http2") };
    let Some(clients) = crowd(name, "HTTP2") else { return };
    let conf = format!("LoadModule http2_module {}\nProtocols h2c http/1.1", http2.display());
    assert!(!give_way(clients, &conf, |site| curl(site, &["--http2-prior-knowledge"])));
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
