//! Pauses of the listening socket, when the process cannot accept for want of descriptors or memory: the connection
//! stays in its queue, so the next look at it would fail as well, again and again, as fast as the processor allows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;

/// How long nothing is accepted, unless a connection is closed before that.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the log has no other record of this.
const SILENCE: Duration = Duration::from_secs(60);

/// Whether connections are accepted.
#[derive(Default)]
pub(crate) struct Intake {
    /// Looked at before each wait for requests; the other fields mean something only while this is set.
    paused: AtomicBool,
    state: Mutex<State>,
}

/// Until when no connection is accepted, and when the log was last told.
#[derive(Default)]
struct State {
    until: Option<Instant>,
    told: Option<Instant>,
}

/// Whether an error of `accept` says that some resource is used up.
pub(crate) fn is_exhaustion(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
}

impl Intake {
    fn state(&self) -> MutexGuard<'_, State> {
        // Consistent between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts nothing for a while. Returns whether the log should hear of it.
    pub(crate) fn pause(&self, now: Instant) -> bool {
        let mut state = self.state();
        state.until = Some(now + PAUSE);
        self.paused.store(true, Ordering::Release);
        let silent = state.told.is_some_and(|told| now < told + SILENCE);
        if !silent {
            state.told = Some(now);
        }
        !silent
    }

    /// How long the pause still lasts; `None` if there is none.
    pub(crate) fn left(&self) -> Option<Duration> {
        if !self.paused.load(Ordering::Acquire) {
            return None;
        }
        self.state().until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Ends the pause, because it is over or because a connection was closed. Returns whether there was one, so that
    /// the caller has to look at the socket again.
    pub(crate) fn resume(&self) -> bool {
        self.paused.load(Ordering::Acquire) && {
            let paused = self.state().until.take().is_some();
            self.paused.store(false, Ordering::Release);
            paused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_once_and_is_told_once_a_minute() {
        let (intake, now) = (Intake::default(), Instant::now());
        assert!(intake.left().is_none() && !intake.resume());
        assert!(intake.pause(now));
        assert!(intake.left().is_some_and(|left| left <= PAUSE));
        assert!(intake.resume() && !intake.resume() && intake.left().is_none());
        assert!(!intake.pause(now + PAUSE) && intake.pause(now + SILENCE));
    }

    #[test]
    fn only_what_is_used_up_makes_a_pause() {
        assert!([Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].into_iter().all(is_exhaustion));
        assert!(![Errno::CONNABORTED, Errno::INTR, Errno::AGAIN, Errno::PERM].into_iter().any(is_exhaustion));
    }
}
