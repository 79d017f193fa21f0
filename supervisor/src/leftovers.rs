//! Processes that applications have forked and that are still there when the server stops. The system makes them
//! children of this program when the processes that have started them end, so no others can be among them.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, wait};

/// How long they have between SIGTERM and SIGKILL; the Apache parent waits meanwhile.
const TIME: Duration = Duration::from_secs(1);

/// How often this program looks whether they are gone.
const INTERVAL: Duration = Duration::from_millis(10);

/// Makes such processes children of this program from now on.
///
/// # Errors
/// If the system cannot do that.
pub fn adopt() -> std::io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Ends these processes, when all daemon processes are gone. Returns how many there were.
pub fn end() -> usize {
    let (all, deadline) = (children(), Instant::now() + TIME);
    tell(&all, Signal::TERM);
    while reap() && Instant::now() < deadline {
        std::thread::sleep(INTERVAL);
    }
    // Those of theirs are children of this program by now: generation by generation, but not for ever.
    let deadline = Instant::now() + TIME / 2;
    while reap() && Instant::now() < deadline {
        tell(&children(), Signal::KILL);
        std::thread::sleep(INTERVAL);
    }
    all.len()
}

fn tell(processes: &[Pid], signal: Signal) {
    for process in processes {
        // Not waited for yet, so the pid is its own. One that has ended needs no signal.
        let _ = kill_process(*process, signal);
    }
}

/// Collects those that have ended. Returns whether others are left.
fn reap() -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// The children of this process, which has one thread.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    let listed = fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
