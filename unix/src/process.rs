//! Other processes of the machine.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::sys::usage;

/// Whether there is a process with this id, also one that is a zombie or another user's.
pub fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

/// The resident memory of a process in bytes, as the system tells everybody; `None` where it does not.
#[must_use]
pub fn resident(pid: u32) -> Option<u64> {
    usage::resident(&pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_anybody_is_there_until_it_has_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        assert!(exists(child.id()) && exists(1));
        child.wait().unwrap();
        assert!(!exists(child.id()) && !exists(0) && !exists(u32::MAX));
    }
}
