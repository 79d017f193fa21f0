//! Sets of signals, and those that a thread blocks.

use std::mem::MaybeUninit;

/// A set of signals: those that a thread blocks, for one. Its functions may be called in a process that has just been
/// forked.
#[derive(Clone, Copy)]
pub struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// The set without any signal.
    #[must_use]
    pub fn none() -> Self {
        let mut set = MaybeUninit::zeroed();
        // SAFETY: a place for one set, which the call makes an empty one.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: it has been filled.
        Self(unsafe { set.assume_init() })
    }

    /// The set of all signals.
    #[must_use]
    pub fn all() -> Self {
        let mut set = MaybeUninit::zeroed();
        // SAFETY: a place for one set, which the call makes a full one.
        unsafe { libc::sigfillset(set.as_mut_ptr()) };
        // SAFETY: it has been filled.
        Self(unsafe { set.assume_init() })
    }

    /// The signals that wait until the calling thread, or all of the process, no longer blocks them.
    #[must_use]
    pub fn pending() -> Self {
        let mut set = Self::none();
        // SAFETY: the place is a set, and is one whether the call succeeds or not.
        unsafe { libc::sigpending(&raw mut set.0) };
        set
    }

    /// Whether a signal is in the set.
    #[must_use]
    pub fn has(&self, signal: i32) -> bool {
        // SAFETY: reads a set that has been filled; a number that is no signal is no member.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
    }

    /// Makes the calling thread block the signals of this set, and no others. Returns those that it has blocked before.
    /// Threads inherit it.
    pub fn block(&self) -> Self {
        let mut before = Self::none();
        // SAFETY: both are sets; only the mask of this thread changes.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, &raw mut before.0) };
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_blocks_what_it_is_told_and_then_what_it_did_before() {
        let thread = || {
            let before = SignalSet::all().block();
            assert!(!before.has(libc::SIGUSR2));
            // SAFETY: to this thread, which blocks it.
            unsafe { libc::raise(libc::SIGUSR2) };
            assert!(SignalSet::pending().has(libc::SIGUSR2));
            assert!(!SignalSet::pending().has(libc::SIGUSR1));
            let blocked = SignalSet::all().block();
            assert!(blocked.has(libc::SIGUSR2));
        };
        assert!(std::thread::spawn(thread).join().is_ok());
    }
}
