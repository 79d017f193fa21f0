//! Processes that applications have forked and that are still there when the server stops. The system makes them
//! children of this program when those that have started them end, so nobody else's can be among them.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_child_subreaper, wait};

/// How long they have from SIGTERM until SIGKILL: the Apache parent waits meanwhile, and not for long.
const TIME: Duration = Duration::from_secs(1);

/// How often to look whether they are gone.
const INTERVAL: Duration = Duration::from_millis(10);

/// From now on they become children of this program.
///
/// # Errors
/// If the system cannot do that.
pub fn adopt() -> std::io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Ends those that are left, when all daemon processes are gone. How many there were.
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

/// Waits for those that have ended. Whether others are left.
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
