//! What a process with an event loop tells of itself in its page of the process table.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::process::Process;

/// Something that counts in the page as long as this lives.
pub(super) struct Counted(&'static AtomicU32);

impl Counted {
    fn at(counter: &'static AtomicU32) -> Self {
        counter.fetch_add(1, Relaxed);
        Self(counter)
    }

    /// An application that goes on after its response, or after its client.
    pub(super) fn background() -> Self {
        Self::at(&Process::get().page.background)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Counts a message of a WebSocket that its application is given.
pub(super) fn message_is_given() {
    Process::get().page.messages_in.fetch_add(1, Relaxed);
}

/// Counts a message that an application sends.
pub(super) fn message_is_sent() {
    Process::get().page.messages_out.fetch_add(1, Relaxed);
}

/// The moment at which the event loop was asked to show how late it comes.
#[derive(Default)]
pub(super) struct Lag(Mutex<Option<Instant>>);

impl Lag {
    fn asked(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, unless it has been asked and has not come. Returns whether it has to be woken for that.
    pub(super) fn ask(&self, now: Instant) -> bool {
        let mut asked = self.asked();
        let is_first = asked.is_none();
        asked.get_or_insert(now);
        is_first
    }

    /// Returns how late the loop comes, if it has been asked.
    pub(super) fn comes(&self, now: Instant) -> Option<Duration> {
        self.asked().take().map(|asked| now.saturating_duration_since(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_does_not_come_is_late_from_the_first_question_on() {
        let (lag, start, second) = (Lag::default(), Instant::now(), Duration::from_secs(1));
        assert_eq!(lag.comes(start), None);
        assert!(lag.ask(start) && !lag.ask(start + second));
        assert_eq!([lag.comes(start + 3 * second), lag.comes(start + 4 * second)], [Some(3 * second), None]);
        assert!(lag.ask(start + 5 * second));
    }
}
