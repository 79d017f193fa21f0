//! Start, stop, restart and sudden death.

use crate::status;
use harness::{HELLO, Httpd, Load, Mpm, PROBE, Role, Site, alive, daemons, eventually, in_time, kill};
use serde_json::Value;
use std::time::{Duration, Instant};

fn daemon(site: &Httpd) -> u32 {
    site.ask("os.getpid()").as_u64().and_then(|pid| pid.try_into().ok()).expect("a pid")
}

#[test]
fn a_clean_stop_leaves_nothing_and_runs_exit_handlers() {
    let goodbye = "import atexit, sys\natexit.register(lambda: print('goodbye', file=sys.stderr, flush=True))\n";
    let mut site = Httpd::site("processes=2 threads=3", &(goodbye.to_owned() + PROBE)).start();
    site.log.expect(&["goodbye"]);
    let load = Load::start(&site, "/?time.sleep(0.02)", 4);
    let both = daemons(&site, 2, None);
    assert!(load.stop().iter().all(harness::Outcome::is_success));
    let processes = site.processes();
    assert!(both.iter().all(|daemon| processes.contains(daemon)), "{both:?} are not in {processes:?}");
    let begun = Instant::now();
    let status = site.stop().expect("it stops");
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < in_time(Duration::from_secs(4)), "idle daemons end at once: {:?}", begun.elapsed());
    assert!(!both.into_iter().any(alive));
    assert_eq!(site.log.text().matches("goodbye").count(), 2);
    site.finish();
}

#[test]
fn requests_go_to_the_process_that_is_ready_and_wait_for_no_other() {
    let first_alone = r#"
import fcntl, os, time
held = open(__file__)
try:
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    while not os.path.exists(os.path.dirname(__file__) + "/go"):
        time.sleep(0.05)
"#;
    let site = Httpd::site("processes=3 threads=1", &(first_alone.to_owned() + PROBE)).start();
    let first = daemon(&site);
    assert_eq!([daemon(&site), daemon(&site)], [first, first]);
    site.write("apps/go", "");
    let load = Load::start(&site, "/?time.sleep(0.02)", 4);
    assert!(daemons(&site, 3, None).contains(&first));
    assert!(load.stop().iter().all(harness::Outcome::is_success));
    site.finish();
}

#[test]
fn one_process_of_apache_serves_process_groups_as_several_do() {
    for mpm in [Mpm::Event, Mpm::Prefork] {
        let mut site = Httpd::site("threads=2", PROBE).mpm(mpm).in_one_process().start();
        assert_eq!(site.ask("environ['mod_wsgi.process_group']"), "site", "{mpm:?}");
        assert!(site.stop().is_some(), "{mpm:?}: it ends by itself");
        // The event MPM leaves it in this mode, with or without any module.
        let _ = std::fs::remove_file(site.root().join("run/httpd.pid"));
        site.finish();
    }
}

#[test]
fn a_stop_ends_everything_within_shutdown_timeout() {
    for mpm in [Mpm::Event, Mpm::Worker, Mpm::Prefork] {
        let mut site = status::site("processes=2 threads=1 shutdown-timeout=1").mpm(mpm).start();
        site.log.expect(&["WSGI1307: …did not end within its shutdown-timeout"]);
        let first = daemon(&site);
        let port = site.port();
        let executed = [site.executing("time.sleep(20)"), site.executing("time.sleep(20)")];
        let waits =
            std::thread::spawn(move || harness::Client::connect(port).exchange("GET", "/?time.sleep(20)", &[], b""));
        status::wait_for(&site, "a request waits for a thread", |group| group["requests_waiting"] == 1);
        // One of the processes is on its way out already.
        assert!(kill(first, libc::SIGUSR1));
        let leaves = |process: &Value| process["pid"] == first && process["state"] == "draining";
        let list = |group: &Value| group["processes"].as_array().cloned().unwrap_or_default();
        status::wait_for(&site, "the process is on its way out", |group| list(group).iter().any(leaves));
        let begun = Instant::now();
        assert!(site.stop().is_some());
        assert!(begun.elapsed() < in_time(Duration::from_secs(4)), "{mpm:?}: {:?}", begun.elapsed());
        assert!(site.processes().is_empty());
        for client in executed.into_iter().chain([waits]) {
            assert!(client.join().expect("a thread").map_or(true, |answer| answer.status == 503));
        }
        assert!(!site.log.text().contains("WSGI1026: "), "{}", site.log.text());
        site.finish();
    }
}

#[test]
fn a_restart_waits_for_nobody() {
    let mut site = Httpd::probe("shutdown-timeout=1");
    site.log.expect(&["WSGI1307: …did not end within its shutdown-timeout"]);
    let first = daemon(&site);
    let stuck = site.executing("time.sleep(20)");
    let begun = Instant::now();
    site.signal(libc::SIGHUP);
    assert!(stuck.join().expect("a thread").map_or(true, |answer| answer.status == 503));
    let pid = || site.try_request("GET", "/?os.getpid()", &[], b"").ok().filter(|answer| answer.status == 200);
    let next = eventually(Duration::from_secs(15), || pid().filter(|answer| answer.json() != first));
    assert!(next.is_some() && begun.elapsed() < in_time(Duration::from_secs(5)), "{:?}", begun.elapsed());
    site.finish();
}

#[test]
fn every_mpm_serves() {
    for mpm in [Mpm::Event, Mpm::Worker, Mpm::Prefork] {
        let site = Httpd::site("", HELLO).mpm(mpm).start();
        assert_eq!(site.get("/").text(), "hello", "{mpm:?}");
        site.finish();
    }
}

#[test]
fn a_daemon_that_is_killed_is_replaced_and_the_log_says_why() {
    let site = Httpd::probe("");
    let first = daemon(&site);
    assert!(kill(first, libc::SIGSEGV));
    assert!(eventually(Duration::from_secs(2), || (!alive(first)).then_some(())).is_some());
    assert_ne!(daemon(&site), first);
    site.log.wait_for(&first.to_string());
    site.finish();
}

#[test]
fn kill_9_under_load_fails_only_what_that_process_was_executing() {
    const THREADS: usize = 3;
    let site = Httpd::probe(&format!("processes=2 threads={THREADS}"));
    site.log.expect(&["WSGI1026: ", "WSGI1307: …was ended by signal"]);
    let load = Load::start(&site, "/?time.sleep(0.02)%20or%20os.getpid()", 5);
    // Both processes are at work before one dies.
    let both = daemons(&site, 2, None);
    let victim = both[0];
    assert!(kill(victim, libc::SIGKILL));
    let killed = Instant::now();
    let whole = daemons(&site, 2, Some(victim));
    assert!(killed.elapsed() < in_time(Duration::from_secs(2)), "whole again after {:?}", killed.elapsed());
    assert!(!whole.contains(&victim));
    let outcomes = load.stop();
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_success()).collect();
    assert!(failed.len() <= THREADS, "{failed:#?}");
    for outcome in &failed {
        assert!(
            outcome.sent < killed,
            "only what was running fails: {outcome:?}, sent {:?} after",
            outcome.sent - killed
        );
    }
    site.finish();
}

#[test]
fn a_process_that_dies_in_a_request_fails_that_request_only() {
    let site = Httpd::probe("");
    site.log.expect(&["WSGI1026: ", "WSGI1306: …failed at start (exit code 3)"]);
    let first = daemon(&site);
    let answer = site.get("/?os._exit(3)");
    assert!(matches!(answer.status, 500 | 502), "{answer:?}");
    assert_ne!(daemon(&site), first);
    site.finish();
}

#[test]
fn a_graceful_restart_fails_no_request_and_replaces_the_daemons() {
    let mut site = Httpd::probe("threads=3");
    let first = daemon(&site);
    let load = Load::start(&site, "/?time.sleep(0.01)%20or%20os.getpid()", 3);
    site.signal(libc::SIGUSR1);
    let replaced = eventually(Duration::from_secs(15), || (daemon(&site) != first && !alive(first)).then_some(()));
    let failed: Vec<_> = load.stop().into_iter().filter(|outcome| !outcome.is_success()).collect();
    assert!(replaced.is_some(), "the first daemon still serves");
    assert!(failed.is_empty(), "{failed:#?}");
    site.finish();
}

#[test]
fn a_restart_reads_the_configuration_again() {
    let mut site = Httpd::probe("umask=0022");
    let first = daemon(&site);
    let conf = std::fs::read_to_string(site.root().join("httpd.conf")).expect("httpd.conf");
    site.write("httpd.conf", &conf.replace("umask=0022", "umask=0077"));
    site.signal(libc::SIGHUP);
    assert!(
        eventually(Duration::from_secs(15), || (!alive(first)).then_some(())).is_some(),
        "the first daemon still runs"
    );
    let umask = || site.try_request("GET", "/?os.umask(0o77)", &[], b"").ok().filter(|answer| answer.status == 200);
    let umask = eventually(Duration::from_secs(15), umask).expect("an answer");
    assert_eq!(umask.json(), 0o77);
    site.finish();
}

#[test]
fn when_apache_is_killed_its_daemons_end_as_well() {
    let mut site = Httpd::probe("processes=2");
    let processes = site.processes();
    site.signal(libc::SIGKILL);
    let _ = site.stop();
    // The children of a killed Apache live on for as long as Apache lets them; what is ours must notice.
    let python = |pid: &&u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|name| !name.contains("apache2") && !name.contains("httpd"))
    };
    let ours: Vec<_> = processes.iter().filter(python).collect();
    let gone = eventually(Duration::from_secs(10), || ours.iter().all(|pid| !alive(**pid)).then_some(()));
    assert!(gone.is_some(), "{ours:?}");
    for pid in site.processes() {
        kill(pid, libc::SIGKILL);
    }
    // Nobody could remove the files of an Apache that was killed, so the run directory is emptied here.
    for entry in std::fs::read_dir(site.root().join("run")).expect("the run directory").flatten() {
        std::fs::remove_file(entry.path()).expect("removed");
    }
    site.finish();
}

#[test]
fn an_apache_without_the_module_has_no_daemons_either() {
    let mut site =
        Httpd::site("", &format!("import atexit\natexit.register(print, 'said at the end')\n{HELLO}")).start();
    site.log.expect(&["said at the end"]);
    assert_eq!(site.get("/").text(), "hello");
    let count = |site: &Httpd| {
        let census = site.census();
        census.iter().filter(|member| matches!(member.role, Role::Supervisor | Role::Daemon)).count()
    };
    assert_eq!(count(&site), 2);
    let conf = std::fs::read_to_string(site.root().join("httpd.conf")).expect("the configuration");
    let without: Vec<&str> = conf.lines().filter(|line| !line.to_ascii_lowercase().contains("wsgi")).collect();
    site.write("httpd.conf", &without.join("\n"));
    site.signal(libc::SIGUSR1);
    let gone = eventually(Duration::from_secs(60), || (count(&site) == 0).then_some(()));
    assert!(gone.is_some(), "{:?}", site.census());
    // There is nobody but the supervisor to write it.
    site.log.wait_for("said at the end");
    site.finish();
}
