//! The command as process 1 of a container, as far as processes go: in a PID namespace of its own.

use harness::{Express, PROBE, Scratch, Site, cannot_run, eventually, is_root, kill, product};
use std::process::Command;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(20);

/// Gives the command a terminal for its output.
const ON_A_TERMINAL: &str = "\
import os, pty, sys
screen, line = pty.openpty()
os.set_inheritable(screen, True)
os.dup2(line, 1)
os.execv(sys.argv[1], sys.argv[1:])
";

/// What is below a process: PID, state and name.
fn children(of: u32) -> Vec<(u32, String, String)> {
    let all = std::fs::read_dir("/proc").expect("processes").flatten();
    let stats = all.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    let child = |stat: String| {
        let (before, rest) = stat.rsplit_once(") ")?;
        let (pid, name) = before.split_once(" (")?;
        let mut fields = rest.split(' ');
        let (state, parent) = (fields.next()?.to_owned(), fields.next()?.parse::<u32>().ok()?);
        (parent == of).then(|| (pid.parse().unwrap_or(0), state, name.to_owned()))
    };
    stats.filter_map(child).collect()
}

/// Ends process 1, and with it all that is left, when this goes: unshare itself takes no notice of signals.
struct Last(u32);

impl Drop for Last {
    fn drop(&mut self) {
        kill(self.0, libc::SIGKILL);
    }
}

fn it_is_a_good_process_1(case: &str, wrapper: &[&str]) {
    let can = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).status();
    if !is_root() || !can.is_ok_and(|status| status.success()) {
        return cannot_run(case, "only root makes PID namespaces, by unshare");
    }
    let directory = Scratch::new();
    directory.write("app.wsgi", PROBE);
    let express = product().express().display().to_string();
    let namespace = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    let words = [&namespace[..], wrapper, &[&express, "start-server", "app.wsgi"]].concat();
    let mut server = Express::program("unshare", &words).within(directory.path()).start();
    let (first, ..) = children(server.pid()).pop().expect("process 1");
    let _last = Last(first);
    for _ in 0..5 {
        assert_eq!(server.get("/?__import__('os').system('sleep%200.2%20%26')").text(), "0");
    }
    // Those of a shell that has ended are the children of process 1.
    let none = || children(first).iter().all(|(_, state, name)| state != "Z" && name != "sleep").then_some(());
    assert!(eventually(DEADLINE, none).is_some(), "{:?}", children(first));
    assert!(kill(first, libc::SIGTERM));
    // This is for unshare, which waits for process 1 and takes no notice.
    let status = server.stop(libc::SIGTERM).expect("it ends");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn as_process_1_it_reaps_orphans_and_ends_when_it_is_told() {
    it_is_a_good_process_1("as_process_1_it_reaps_orphans_and_ends_when_it_is_told", &[]);
}

#[test]
fn as_process_1_on_a_terminal_it_does_the_same() {
    let python = product().program("python").display().to_string();
    it_is_a_good_process_1("as_process_1_on_a_terminal_it_does_the_same", &[&python, "-c", ON_A_TERMINAL]);
}
