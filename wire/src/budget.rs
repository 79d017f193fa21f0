//! How much of something a process may do to others: an average rate, and a burst above it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::limits::{DAEMON_BURST, DAEMON_RATE, LOG_BURST, LOG_RATE};

/// What a process has used of its share, in the beginning nothing. Several threads may ask at once.
///
/// Instead of a number that has to be filled up again and again it keeps the moment up to which the average rate is used up (the
/// "generic cell rate algorithm" of ITU-T I.371).
#[derive(Debug)]
pub struct Budget {
    /// Nanoseconds that one takes at the average rate.
    one: u64,
    /// How far the time that is used up may be ahead of the clock: the burst.
    ahead: u64,
    /// Nanoseconds on the caller's clock.
    used_until: AtomicU64,
    /// How many were refused since that was last told.
    refused: AtomicU64,
    /// Whether it has been told that some were.
    told: AtomicBool,
}

impl Budget {
    const fn new(rate: u32, burst: u32) -> Self {
        let one = 1_000_000_000 / rate as u64;
        let (used_until, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { one, ahead: burst as u64 * one, used_until, refused, told: AtomicBool::new(false) }
    }

    /// Bytes of log.
    pub const fn of_log() -> Self {
        Self::new(LOG_RATE, LOG_BURST)
    }

    /// Messages of a daemon process to the supervisor.
    pub const fn of_messages() -> Self {
        Self::new(DAEMON_RATE, DAEMON_BURST)
    }

    /// Takes this many, unless they are more than there is at the moment `now` of the caller's clock. Whether it did.
    pub fn take(&self, count: usize, now: Duration) -> bool {
        let now = now.as_nanos() as u64;
        let use_up = |until: u64| {
            let until = until.max(now).saturating_add(count as u64 * self.one);
            (until - now <= self.ahead).then_some(until)
        };
        let taken = self.used_until.fetch_update(Relaxed, Relaxed, use_up).is_ok();
        if !taken {
            self.refused.fetch_add(count as u64, Relaxed);
        }
        taken
    }

    /// Takes this many even if there are fewer: they have been read already.
    pub fn charge(&self, count: usize, now: Duration) {
        let now = now.as_nanos() as u64;
        let use_up = |until: u64| Some(until.max(now).saturating_add(count as u64 * self.one));
        // Never refused.
        let _ = self.used_until.fetch_update(Relaxed, Relaxed, use_up);
    }

    /// How long until there is something again.
    pub fn wait(&self, now: Duration) -> Duration {
        let ahead = self.used_until.load(Relaxed).saturating_sub(now.as_nanos() as u64);
        Duration::from_nanos(ahead.saturating_sub(self.ahead))
    }

    /// How many were refused since the last call.
    pub fn refused(&self) -> u64 {
        // Mostly there is nothing to write.
        if self.refused.load(Relaxed) == 0 {
            0
        } else {
            self.told.store(false, Relaxed);
            self.refused.swap(0, Relaxed)
        }
    }

    /// Whether it has been told that something was refused, since [`Self::refused`] was last asked; from now on it has.
    pub fn is_told(&self) -> bool {
        self.told.swap(true, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_is_taken_at_once_and_then_the_rate() {
        let budget = Budget::of_log();
        assert!(budget.take(LOG_BURST as usize, START) && !budget.take(1000, START));
        assert!(!budget.is_told() && budget.is_told());
        assert_eq!(budget.refused(), 1000);
        assert!(!budget.is_told());
        assert_eq!(budget.refused(), 0);
        assert!(budget.take(LOG_RATE as usize, START + SECOND) && !budget.take(1000, START + SECOND));
        assert!(budget.take(LOG_BURST as usize, START + 100 * SECOND), "it fills up again, and no further");
        assert!(!budget.take(1000, START + 100 * SECOND));
    }

    #[test]
    fn who_has_taken_too_much_waits_for_as_long_as_that_takes() {
        let budget = Budget::of_log();
        assert_eq!(budget.wait(START), Duration::ZERO);
        budget.charge(LOG_BURST as usize, START);
        assert_eq!(budget.wait(START), Duration::ZERO);
        budget.charge(2 * LOG_RATE as usize, START);
        let wait = budget.wait(START);
        assert!(wait > SECOND && wait <= 2 * SECOND, "{wait:?}");
        assert_eq!(budget.wait(START + 2 * SECOND), Duration::ZERO);
    }
    #[test]
    fn messages_have_a_budget_of_their_own() {
        let budget = Budget::of_messages();
        budget.charge(DAEMON_BURST as usize, START);
        assert_eq!(budget.wait(START), Duration::ZERO);
        budget.charge(DAEMON_RATE as usize, START);
        let wait = budget.wait(START);
        assert!(wait > SECOND - Duration::from_millis(1) && wait <= SECOND, "{wait:?}");
    }
}
