//! The supervisor from outside: real processes, real sockets, daemons that only speak the control protocol.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use harness::{Memory, Supervised, eventually, is_alive, send};
use rustix::process::Signal;
use wsgi_wire::control::{Identity, Outcome};
use wsgi_wire::frame::Kind;
use wsgi_wire::table::State;

#[test]
fn a_daemon_gets_what_the_contract_says_and_nothing_else() {
    let mut apache = Supervised::start();
    let mut group = apache.group("one", 1);
    group.spawn.umask = Some(0o027);
    group.spawn.env.push(("LANG".into(), "C.UTF-8".into()));
    group.spawn.home = Some(apache.dir.path().join("facts").to_str().unwrap().into());
    apache.configure(vec![group]);
    let facts = apache.facts(apache.running(1)[0]);
    for expected in [
        r#""arguments": ["-B", "-c", "#,
        r#""/the/package"]"#,
        r#""umask": 23"#,
        r#""LANG": "C.UTF-8""#,
        &format!(r#""cwd": "{}""#, apache.dir.path().join("facts").display()),
        &format!(r#""socket": "{}.4711.0.1.sock""#, apache.dir.path().join("run/wsgi").display()),
        // The last is the directory that lists them.
        r#""descriptors": [0, 1, 2, 3, 4, 5, 6, 7, 8]"#,
        // All that can be: the engine lets them through once it has its handlers.
        r#""blocked": "fffffffe7ffbfeff""#,
        // Python itself ignores SIGPIPE and SIGXFSZ; of real-time signals (the upper half) nothing is known.
        r#"1001000", "nice""#,
        // The supervisor itself takes as many as it can get, for its pipes.
        r#""files": 700"#,
    ] {
        assert!(facts.contains(expected), "{expected} is not in {facts}");
    }
    eventually("standard output is the group's log", || apache.group_log().contains("ready").then_some(()));
}

#[test]
fn a_daemon_without_settings_of_its_own_has_those_of_apache() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    let facts = apache.facts(apache.running(1)[0]);
    assert!(facts.contains(r#""umask": 18"#), "{facts}");
}

#[test]
fn a_killed_process_is_replaced_and_the_log_says_how_it_ended() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 2)]);
    let before = apache.running(2);
    send(before[0], Signal::KILL);
    eventually("there are two again", || {
        let pids = apache.running(2);
        (!pids.contains(&before[0])).then_some(())
    });
    let record = format!("[wsgi:error] [pid {}]", apache.supervisor_pid());
    let log = apache.group_log();
    let line = log.lines().find(|line| line.contains("SIGKILL")).unwrap();
    assert!(line.contains(&record) && line.contains(&before[0].to_string()) && line.contains("'one'"), "{line}");
    assert_eq!(apache.sockets(), 2);
}

#[test]
fn a_new_configuration_replaces_processes_only_when_new_ones_are_ready() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1), apache.group("removed", 1)]);
    let before = apache.running(2);
    apache.configure(vec![apache.group("one", 1)]);
    let after = apache.running(1);
    assert!(!before.contains(&after[0]) && is_alive(after[0]));
    assert!(before.iter().all(|pid| !is_alive(*pid)));
    assert_eq!(apache.started(), 3, "the removed group's process has no successor");
    assert!(!apache.own_records().contains("error"), "{}", apache.log());
}

#[test]
fn old_processes_go_on_while_new_ones_fail() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    let before = apache.running(1)[0];
    apache.ready(1);
    let mut broken = apache.group("one", 1);
    broken.spawn.env.push(("BEHAVIOUR".into(), "fail".into()));
    apache.configure(vec![broken]);
    eventually("several attempts fail", || (apache.started() >= 4).then_some(()));
    assert!(is_alive(before));
    assert!(apache.log().contains("failed at start (exit code 3)"));
    apache.configure(vec![apache.group("one", 1)]);
    eventually("the old one has gone", || (!is_alive(before)).then_some(()));
}

#[test]
fn failures_at_start_are_repeated_ever_more_slowly() {
    let mut apache = Supervised::start();
    let mut broken = apache.group("one", 1);
    broken.spawn.env.push(("BEHAVIOUR".into(), "fail".into()));
    let start = Instant::now();
    apache.configure(vec![broken]);
    eventually("a fifth attempt", || (apache.started() >= 5).then_some(()));
    // 100, 200, 400 and 800 ms lie between them, besides what the attempts themselves take.
    assert!(start.elapsed() >= Duration::from_millis(1500), "{:?}", start.elapsed());
}

#[test]
fn a_process_that_announces_its_end_is_replaced_before_it() {
    let mut apache = Supervised::start();
    let mut group = apache.group("one", 1);
    // However long its successor takes to start.
    group.daemon.eviction_timeout = 60;
    apache.configure(vec![group]);
    let before = apache.running(1)[0];
    send(before, Signal::USR1);
    assert!(apache.running(2).contains(&before));
    send(before, Signal::KILL);
    apache.running(1);
    assert!(!apache.own_records().contains("wsgi:error"), "an announced end is no error: {}", apache.log());
}

#[test]
fn a_process_that_asks_to_be_replaced_takes_requests_until_its_successor_does() {
    let mut apache = Supervised::start();
    let mut group = apache.group("one", 1);
    group.spawn.env.push(("BEHAVIOUR".into(), "held".into()));
    apache.configure(vec![group]);
    apache.release();
    let before = apache.ready(1)[0];
    apache.hold();
    send(before, Signal::USR2);
    eventually("there is a successor", || (apache.pids().len() == 2).then_some(()));
    assert_eq!(apache.ready(1), [before]);
    apache.release();
    let after = eventually("the successor takes over", || apache.ready(1).pop().filter(|pid| *pid != before));
    assert!(is_alive(after));
    eventually("the first has gone", || (!is_alive(before)).then_some(()));
    assert_eq!(apache.started(), 2);
}

#[test]
fn all_that_ask_to_be_replaced_are_replaced_one_after_the_other() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 3)]);
    let before = apache.ready(3);
    before.iter().for_each(|pid| send(*pid, Signal::USR2));
    let mut max = 0;
    eventually("all are new", || {
        max = max.max(apache.states().iter().filter(|state| **state == State::Starting).count());
        before.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
    assert_eq!((max, apache.started(), apache.ready(3).len()), (1, 6, 3));
}

#[test]
fn a_successor_that_cannot_load_its_scripts_is_given_up_and_the_log_says_so_once() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    let before = apache.ready(1)[0];
    apache.break_scripts(true);
    send(before, Signal::USR2);
    eventually("several attempts fail", || (apache.started() >= 4).then_some(()));
    assert_eq!(apache.ready(1), [before]);
    assert_eq!(apache.log().matches("WSGI1308: ").count(), 1, "{}", apache.log());
    apache.break_scripts(false);
    eventually("a later one takes over", || (!is_alive(before)).then_some(()));
    assert!(apache.ready(1)[0] != before);
}

#[test]
fn a_process_that_holds_its_requests_serves_on_if_nobody_can_take_over() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 2)]);
    let before = apache.ready(2);
    apache.break_scripts(true);
    send(before[0], Signal::HUP);
    eventually("it serves on", || apache.group_log().contains(&format!("{} resumes", before[0])).then_some(()));
    apache.break_scripts(false);
    send(before[0], Signal::HUP);
    eventually("another change replaces both", || before.iter().all(|pid| !is_alive(*pid)).then_some(()));
    apache.ready(2);
}

#[test]
fn without_anybody_else_a_process_that_cannot_load_its_scripts_answers() {
    let mut apache = Supervised::start();
    apache.break_scripts(true);
    apache.configure(vec![apache.group("one", 1)]);
    let first = apache.ready(1);
    send(first[0], Signal::KILL);
    eventually("another one answers", || (apache.ready(1) != first).then_some(()));
}

#[test]
fn a_new_configuration_keeps_processes_of_the_same_user_only() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    let before = apache.ready(1)[0];
    apache.break_scripts(true);
    apache.configure(vec![apache.group("one", 1)]);
    eventually("an attempt fails", || apache.log().contains("WSGI1308: ").then_some(()));
    assert_eq!(apache.ready(1), [before]);
    let mut other = apache.group("one", 1);
    if rustix::process::getuid().is_root() {
        let (uid, gid) = (65_534, 65_533);
        other.spawn.identity = Some(Identity { uid, gid, name: "".into(), groups: Some(vec![]), home: None });
        apache.configure(vec![other]);
        eventually("what may not answer for it has gone", || (!is_alive(before)).then_some(()));
        apache.ready(1);
    }
}

#[test]
fn an_administrator_restarts_groups_and_hears_how_it_went() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 2), apache.group("two", 1)]);
    let before = apache.ready(3);
    assert_eq!(apache.restart(Some("one")), [("one".to_owned(), Outcome::Replaced)]);
    let after = apache.ready(3);
    assert_eq!(before.iter().filter(|pid| after.contains(pid)).count(), 1, "that of the other group");
    let mut both = apache.restart(None);
    both.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(both, [("one".to_owned(), Outcome::Replaced), ("two".to_owned(), Outcome::Replaced)]);
    assert!(apache.ready(3).iter().all(|pid| !after.contains(pid) && !before.contains(pid)));
    assert_eq!(apache.restart(Some("three")), [("three".to_owned(), Outcome::Unknown)]);
    apache.break_scripts(true);
    let serving = apache.ready(3);
    assert_eq!(apache.restart(Some("two")), [("two".to_owned(), Outcome::Failed)]);
    assert_eq!(apache.ready(3), serving);
}

#[test]
fn the_administrators_socket_is_for_the_servers_owner() {
    use std::os::unix::fs::MetadataExt;
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    apache.ready(1);
    let socket = apache.dir.path().join("run/wsgi.4711.control.sock");
    let metadata = fs::metadata(&socket).unwrap();
    assert_eq!((metadata.mode() & 0o777, metadata.uid()), (0o600, rustix::process::getuid().as_raw()));
    apache.send_stop();
    assert_eq!(apache.wait(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn stop_leaves_no_process_and_no_socket() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 2), apache.group("two", 1)]);
    let pids = apache.running(3);
    apache.send_stop();
    assert_eq!(apache.wait(), Some(0));
    assert!(pids.iter().all(|pid| !is_alive(*pid)) && apache.pids().is_empty());
    assert_eq!(apache.sockets(), 0);
}

#[test]
fn the_end_of_apache_stops_everything_too() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    let pid = apache.running(1)[0];
    apache.hang_up();
    assert_eq!(apache.wait(), Some(0));
    assert!(!is_alive(pid));
    assert_eq!(apache.sockets(), 0);
}

#[test]
fn a_signal_to_the_whole_server_leaves_the_order_to_apache() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    let pid = apache.running(1)[0];
    apache.signal(Signal::TERM);
    apache.signal(Signal::INT);
    assert_eq!(apache.running(1), [pid]);
    apache.send_stop();
    assert_eq!(apache.wait(), Some(0));
}

#[test]
fn who_ignores_the_stop_is_killed_after_its_timeout() {
    let mut apache = Supervised::start();
    let mut group = apache.group("one", 1);
    group.spawn.env.push(("BEHAVIOUR".into(), "stubborn".into()));
    apache.configure(vec![group]);
    // By then it ignores signals.
    let pid = apache.ready(1)[0];
    let start = Instant::now();
    apache.send_stop();
    assert_eq!(apache.wait(), Some(0));
    assert!(start.elapsed() >= Duration::from_secs(1) && !is_alive(pid));
    assert!(apache.group_log().contains("did not end within its shutdown-timeout and was killed, "));
}

#[test]
fn other_signals_of_apache_mean_nothing_here() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    let pid = apache.running(1);
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::WINCH] {
        apache.signal(signal);
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(apache.pids(), pid);
}

#[test]
fn a_new_supervisor_takes_over_the_table_of_one_that_was_killed() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 2)]);
    let before = apache.running(2);
    let (dir, table) = apache.kill();
    eventually("daemons end without their supervisor", || before.iter().all(|pid| !is_alive(*pid)).then_some(()));
    let mut apache = Supervised::start_with(dir, table);
    apache.configure(vec![apache.group("one", 2)]);
    eventually("the slots are taken again", || (apache.started() == 4).then_some(()));
    let after = apache.running(2);
    assert!(after.iter().all(|pid| !before.contains(pid)));
    assert_eq!(apache.sockets(), 2, "sockets of the old ones are removed");
}

#[test]
fn when_the_module_is_not_configured_any_more_everything_ends_in_order() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    let before = apache.ready(1);
    apache.send(Kind::Reading);
    apache.configure(vec![apache.group("one", 1)]);
    eventually("another serves", || (apache.ready(1) != before).then_some(()));
    apache.send(Kind::Reading);
    assert_eq!(apache.wait(), Some(0));
    assert_eq!((apache.pids().len(), apache.sockets()), (0, 0));
    assert!(apache.group_log().contains("finishes its requests and ends"), "{}", apache.group_log());
}

#[test]
fn what_applications_have_forked_ends_with_the_server() {
    let mut apache = Supervised::start();
    let mut group = apache.group("one", 1);
    group.spawn.env.push(("BEHAVIOUR".into(), "forks".into()));
    apache.configure(vec![group]);
    let pid = apache.ready(1)[0];
    let file = apache.dir.path().join("facts/../left");
    let left: u32 = eventually("it has forked", || fs::read_to_string(&file).ok()?.parse().ok());
    send(pid, Signal::KILL);
    eventually("its successor serves", || (apache.ready(1) != [pid]).then_some(()));
    assert!(is_alive(left), "while the server runs, it is the application's own affair");
    apache.send_stop();
    assert_eq!(apache.wait(), Some(0));
    assert!(!is_alive(left));
}

/// An entry may be from before a machine's pids began anew, or somebody has written it: the process that has the pid is
/// somebody else's.
#[test]
fn who_is_not_proved_to_be_a_daemon_gets_no_signal() {
    let memory = Memory::new();
    let mut strangers: Vec<_> = (0..3).map(|_| Command::new("sleep").arg("600").spawn().unwrap()).collect();
    // Of no group and of one that there is, of another beginning and of none.
    memory.occupy(0, b"nobody's", strangers[0].id(), 1);
    memory.occupy(1, b"one", strangers[1].id(), 0);
    memory.occupy(2, b"one", strangers[2].id(), 1);
    let mut apache = Supervised::start_with(tempfile::tempdir().unwrap(), memory);
    apache.configure(vec![apache.group("one", 1)]);
    eventually("a slot with a process of another beginning is free", || (apache.pids().len() == 2).then_some(()));
    apache.send_stop();
    assert_eq!(apache.wait(), Some(0), "and nobody waits for a stranger's end");
    for stranger in &mut strangers {
        assert_eq!(stranger.try_wait().unwrap(), None);
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}

#[test]
fn processes_of_a_killed_supervisor_serve_until_others_do() {
    let mut apache = Supervised::start();
    let loyal = |apache: &Supervised, behaviour: &str| {
        let mut group = apache.group("one", 2);
        group.spawn.env.push(("BEHAVIOUR".into(), behaviour.into()));
        group
    };
    apache.configure(vec![loyal(&apache, "loyal")]);
    let before = apache.ready(2);
    let (dir, table) = apache.kill();
    let mut apache = Supervised::start_with(dir, table);
    apache.configure(vec![loyal(&apache, "held")]);
    eventually("another one starts", || (apache.pids().len() > 2).then_some(()));
    assert_eq!((apache.ready(2), apache.sockets()), (before.clone(), 3));
    apache.release();
    eventually("others serve", || {
        let draining = apache.states().iter().filter(|state| **state == State::Draining).count();
        (draining == 2 && apache.ready(2).iter().all(|pid| !before.contains(pid))).then_some(())
    });
    send(before[0], Signal::KILL);
    eventually("its slot and its socket are free", || {
        (apache.pids().len() == 3 && apache.sockets() == 3).then_some(())
    });
    apache.send_stop();
    assert_eq!(apache.wait(), Some(0));
    assert!(!is_alive(before[1]) && apache.sockets() == 0, "what an earlier supervisor has left is stopped, too");
}

#[test]
fn a_missing_interpreter_is_named_with_its_option() {
    let mut apache = Supervised::start();
    let mut group = apache.group("one", 1);
    group.spawn.python_home = Some("/nonexistent".into());
    apache.configure(vec![group]);
    eventually("the log names it", || apache.log().contains("python-home '/nonexistent' has no Python").then_some(()));
    assert_eq!((apache.sockets(), apache.pids()), (0, vec![]));
}

#[test]
fn a_missing_home_is_named() {
    let mut apache = Supervised::start();
    let mut group = apache.group("one", 1);
    group.spawn.home = Some("/nonexistent".into());
    apache.configure(vec![group]);
    let record = "cannot enter its working directory '/nonexistent': No such file";
    eventually("the log names it", || apache.log().contains(record).then_some(()));
}

#[test]
fn privileges_are_dropped_before_the_interpreter_starts() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let mut apache = Supervised::start();
    let mut group = apache.group("one", 1);
    group.spawn.identity = Some(Identity {
        uid: 65_534,
        gid: 65_533,
        name: "nobody".into(),
        groups: Some(vec![65_532]),
        home: Some("/nonexistent".into()),
    });
    group.spawn.socket_user = Some(65_531);
    group.spawn.nice = Some(7);
    apache.configure(vec![group]);
    let facts = apache.facts(apache.running(1)[0]);
    let ids = r#""ids": [[65534, 65534, 65534], [65533, 65533, 65533], [65532, 65533]]"#;
    // Where the supervisor is itself: the user's home may not even exist.
    let directory = format!(r#""cwd": "{}""#, std::env::current_dir().unwrap().display());
    for expected in [ids, r#""nice": 7"#, r#""HOME": "/nonexistent""#, &directory] {
        assert!(facts.contains(expected), "{expected} is not in {facts}");
    }
    let socket = apache.dir.path().join("run/wsgi.4711.0.1.sock");
    let metadata = fs::metadata(socket).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (65_531, 0o700));
}

#[test]
fn the_supervisor_holds_no_more_privilege_than_it_needs() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    apache.ready(1);
    let status = fs::read_to_string(format!("/proc/{}/status", apache.supervisor_pid())).unwrap();
    let set = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t")).unwrap();
    let bits = |name: &str| u64::from_str_radix(set(name), 16).unwrap();
    // CHOWN, DAC_OVERRIDE, FOWNER, KILL, SETGID, SETUID, SETPCAP, SYS_CHROOT, SYS_NICE, SYS_RESOURCE at the most; in
    // force between two starts KILL.
    let needed: u64 = [0, 1, 3, 5, 6, 7, 8, 18, 23, 24].iter().map(|bit| 1 << bit).sum();
    for (name, max) in [("CapPrm", needed), ("CapEff", 1 << 5), ("CapInh", 0)] {
        assert_eq!(bits(name) & !max, 0, "{name}: {}", set(name));
    }
}

#[test]
fn a_daemon_gets_of_apaches_environment_what_its_group_asks_for() {
    let mut apache = Supervised::start();
    let asking = |name: &str, asked: &[&str]| {
        let mut group = apache.group(name, 1);
        group.spawn.env.push(("GROUP".into(), name.into()));
        group.spawn.pass_env = asked.iter().map(|name| (*name).into()).collect();
        group
    };
    let groups = vec![asking("none", &[]), asking("one", &["ASKED_FOR", "NOTIFY_SOCKET"]), asking("all", &["*"])];
    apache.configure(groups);
    let facts: Vec<_> = apache.running(3).into_iter().map(|pid| apache.facts(pid)).collect();
    for (group, expected) in [("none", [false, false]), ("one", [true, false]), ("all", [true, true])] {
        let named = format!(r#""GROUP": "{group}""#);
        let told = facts.iter().find(|told| told.contains(&named)).unwrap();
        let has = ["ASKED_FOR", "ROOTS_SECRET", "NOTIFY_SOCKET"].map(|name| told.contains(name));
        assert_eq!(has, [expected[0], expected[1], false], "{group}: {told}");
        assert!(told.contains(r#""PATH""#) && told.contains(r#""TZ": "UTC""#), "{told}");
    }
}

/// A `python-home` with a real interpreter, which has no package of ours.
fn real_python(apache: &Supervised) -> String {
    let home = apache.dir.path().join("real");
    fs::create_dir_all(home.join("bin")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/python3", home.join("bin/python")).unwrap();
    home.to_str().unwrap().to_owned()
}

#[test]
fn an_interpreter_without_our_package_borrows_it_from_beside_the_module() {
    let mut apache = Supervised::start();
    let borrowed = apache.dir.path().join("beside");
    fs::create_dir_all(borrowed.join("mod_wsgi")).unwrap();
    fs::write(borrowed.join("os.py"), "raise SystemExit('not the interpreter’s own')").unwrap();
    fs::write(borrowed.join("mod_wsgi/__init__.py"), "").unwrap();
    fs::write(borrowed.join("mod_wsgi/_engine.py"), "").unwrap();
    let main = "import sys\ndef main():\n    print('path', sys.path, 'arguments', sys.argv)\n    sys.exit(3)\n";
    fs::write(borrowed.join("mod_wsgi/_daemon.py"), main).unwrap();
    let mut group = apache.group("one", 1);
    group.spawn.python_home = Some(real_python(&apache).as_str().into());
    group.spawn.package = Some(borrowed.to_str().unwrap().into());
    apache.configure(vec![group]);
    eventually("it runs", || apache.group_log().contains("arguments ['-c']").then_some(()));
    let log = apache.group_log();
    assert!(!log.contains("beside") && !log.contains("path ['',"), "the directory is not on the path: {log}");
}

#[test]
fn a_missing_package_is_told_with_its_cure() {
    let mut apache = Supervised::start();
    let mut group = apache.group("one", 1);
    group.spawn.python_home = Some(real_python(&apache).as_str().into());
    group.spawn.package = None;
    apache.configure(vec![group]);
    eventually("the process fails", || apache.log().contains("failed at start").then_some(()));
    let log = apache.group_log();
    assert!(log.contains("mod_wsgi cannot be imported by") && log.contains("/bin/python -m pip install"), "{log}");
    assert!(!log.contains("Traceback"), "{log}");
}

#[test]
fn what_makes_no_sense_ends_everything_so_that_apache_starts_a_fitting_supervisor() {
    let mut apache = Supervised::start();
    apache.configure(vec![apache.group("one", 1)]);
    let pid = apache.running(1)[0];
    apache.send_nonsense();
    assert_eq!(apache.wait(), Some(0));
    assert!(!is_alive(pid) && apache.log().contains("WSGI1315: "));
}
