//! What Apache's threads do to others when they are woken.
#![cfg(target_os = "linux")]

use harness::{Builder, Client, HELLO, Httpd, Role, Site, cannot_run, eventually, in_time, module};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

const BATCH: libc::c_int = libc::SCHED_BATCH;
const USUAL: libc::c_int = libc::SCHED_OTHER;
const PATIENCE: Duration = Duration::from_secs(20);

fn server() -> Builder {
    Httpd::site("threads=2", HELLO).conf("MaxKeepAliveRequests 0")
}

/// How many threads of these processes give way (proc(5), `policy` in `stat`).
fn giving_way(site: &Httpd, role: Role) -> usize {
    let tasks = |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let members = site.census().into_iter().filter(|member| member.role == role);
    let policies = members.flat_map(|member| tasks(member.pid)).filter_map(|task| policy(task.path().join("stat")));
    policies.filter(|policy| *policy == BATCH).count()
}

fn policy(stat: PathBuf) -> Option<libc::c_int> {
    // The name in parentheses may have spaces; the policy is the 41st field, the state behind the name the third.
    fs::read_to_string(stat).ok()?.rsplit(')').next()?.split_whitespace().nth(41 - 3)?.parse().ok()
}

/// Asks as fast as can be for a while.
fn hurry(client: &mut Client, path: &str) {
    for _ in 0..50 {
        assert_eq!(client.exchange("GET", path, &[], b"").expect("an answer").status, 200);
    }
}

fn is_chosen_by_somebody() -> bool {
    policy("/proc/self/stat".into()) != Some(USUAL)
}

#[test]
fn a_worker_whose_client_hurries_gives_way_until_the_client_pauses() {
    if is_chosen_by_somebody() {
        return cannot_run("a_worker_whose_client_hurries_gives_way_until_the_client_pauses", "is scheduled otherwise");
    }
    let site = server().start();
    let mut client = Client::connect(site.port());
    let seen = eventually(in_time(PATIENCE), || {
        hurry(&mut client, "/");
        (giving_way(&site, Role::Child) > 0).then_some(())
    });
    assert!(seen.is_some(), "nobody gives way");
    assert_eq!(giving_way(&site, Role::Daemon), 0, "the application is what others wait for");
    let over = eventually(in_time(PATIENCE), || (giving_way(&site, Role::Child) == 0).then_some(()));
    assert!(over.is_some(), "who has nothing to do gives way");
    site.finish();
}

#[test]
fn nobody_gives_way_without_linger() {
    let site = server().conf("WSGILinger Off").start();
    let mut client = Client::connect(site.port());
    for _ in 0..20 {
        hurry(&mut client, "/");
        assert_eq!(giving_way(&site, Role::Child), 0);
    }
    site.finish();
}

#[test]
fn programs_of_other_modules_begin_as_usual() {
    let name = "programs_of_other_modules_begin_as_usual";
    let Some(cgi) = module("cgi") else { return cannot_run(name, "needs mod_cgi") };
    if is_chosen_by_somebody() {
        return cannot_run(name, "is scheduled otherwise");
    }
    let site = server()
        .conf(&format!("LoadModule cgi_module {}\nScriptAlias /cgi {{root}}/policy.cgi", cgi.display()))
        .file("policy.cgi", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\ncat /proc/self/stat\n")
        .start();
    fs::set_permissions(site.root().join("policy.cgi"), fs::Permissions::from_mode(0o755)).expect("a file");
    let mut client = Client::connect(site.port());
    let mut were_giving_way = 0;
    for _ in 0..20 {
        hurry(&mut client, "/");
        were_giving_way += giving_way(&site, Role::Child);
        hurry(&mut client, "/");
        let answer = client.exchange("GET", "/cgi", &[], b"").expect("an answer");
        let policy =
            answer.text().rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(41 - 3).map(str::to_owned));
        assert_eq!((answer.status, policy.as_deref()), (200, Some("0")));
    }
    assert!(were_giving_way > 0, "nobody gave way before");
    site.finish();
}
