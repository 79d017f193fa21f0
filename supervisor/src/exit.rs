//! How a process ended, in words.

use nix::sys::wait::WaitStatus;

/// The exit code by which a daemon says that it failed at start, having told why. See `docs/architecture.md`.
pub const FAILED_AT_START: i32 = 3;

/// The end of a process, or `None` for news of one that goes on.
pub fn describe(status: WaitStatus) -> Option<String> {
    match status {
        WaitStatus::Exited(_, FAILED_AT_START) => Some("failed at start (exit code 3)".to_owned()),
        WaitStatus::Exited(_, code) => Some(format!("ended with exit code {code}")),
        WaitStatus::Signaled(_, signal, dumped) => {
            let core = if dumped { ", core dumped" } else { "" };
            Some(format!("was ended by signal {} ({signal}{core})", signal as i32))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::Signal;
    use nix::unistd::Pid;

    use super::*;

    #[test]
    fn signals_are_named_and_numbered() {
        let pid = Pid::from_raw(7);
        let text = describe(WaitStatus::Signaled(pid, Signal::SIGSEGV, true));
        assert_eq!(text.as_deref(), Some("was ended by signal 11 (SIGSEGV, core dumped)"));
        assert_eq!(describe(WaitStatus::Exited(pid, 0)).as_deref(), Some("ended with exit code 0"));
        assert_eq!(describe(WaitStatus::StillAlive), None);
    }
}
