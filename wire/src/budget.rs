//! Budgets: how much of something a process may do to others, as an average rate and a burst above it.

use std::time::Duration;

use crate::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use crate::limits::{DAEMON_BURST, DAEMON_RATE, LOG_BURST, LOG_RATE};

/// An average rate and a burst above it, each of them times a number of shares.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// The nanoseconds that one unit takes of a single share.
    one: u64,
    shares: u64,
    /// The burst: how far the time that is used up may be ahead of the clock, in nanoseconds.
    ahead: u64,
}

impl Rate {
    const fn new(rate: u32, burst: u32, shares: u32) -> Self {
        let one = 1_000_000_000 / rate as u64;
        Self { one, shares: if shares == 0 { 1 } else { shares as u64 }, ahead: burst as u64 * one }
    }

    /// The rate of a daemon process's messages to the supervisor.
    pub const MESSAGES: Self = Self::new(DAEMON_RATE, DAEMON_BURST, 1);

    /// The rate of the bytes of log of a group that has so many processes.
    pub const fn of_log(processes: u32) -> Self {
        Self::new(LOG_RATE, LOG_BURST, processes)
    }

    fn time(self, count: usize) -> u64 {
        count as u64 * self.one / self.shares
    }
}

/// What has been used of a share, in the beginning nothing. Several threads, and where it is in shared memory several
/// processes, may ask at once.
///
/// Instead of a number that has to be filled up again and again it keeps the moment up to which the average rate is
/// used up (the "generic cell rate algorithm" of ITU-T I.371).
#[derive(Debug, Default)]
#[repr(C)]
pub struct Budget {
    /// The moment up to which the rate is used up, in nanoseconds on the caller's clock.
    used_until: AtomicU64,
    /// How many units were refused since that was last told.
    refused: AtomicU64,
    /// Whether it has been told that some were refused.
    told: AtomicBool,
}

impl Budget {
    /// Makes a budget of which nothing is used.
    #[cfg(not(all(loom, test)))]
    pub const fn new() -> Self {
        Self { used_until: AtomicU64::new(0), refused: AtomicU64::new(0), told: AtomicBool::new(false) }
    }

    /// Takes this many units, unless there are fewer at the moment `now` of the caller's clock. Returns whether it did.
    pub fn take(&self, rate: Rate, count: usize, now: Duration) -> bool {
        let now = now.as_nanos() as u64;
        let use_up = |until: u64| {
            let until = until.max(now).saturating_add(rate.time(count));
            (until - now <= rate.ahead).then_some(until)
        };
        let taken = self.used_until.fetch_update(Relaxed, Relaxed, use_up).is_ok();
        if !taken {
            self.refused.fetch_add(count as u64, Relaxed);
        }
        taken
    }

    /// Takes this many units even if there are fewer: they have been read already.
    pub fn charge(&self, rate: Rate, count: usize, now: Duration) {
        let now = now.as_nanos() as u64;
        let use_up = |until: u64| Some(until.max(now).saturating_add(rate.time(count)));
        // Never refused.
        let _ = self.used_until.fetch_update(Relaxed, Relaxed, use_up);
    }

    /// How long until there is something to take again.
    pub fn wait(&self, rate: Rate, now: Duration) -> Duration {
        let ahead = self.used_until.load(Relaxed).saturating_sub(now.as_nanos() as u64);
        Duration::from_nanos(ahead.saturating_sub(rate.ahead))
    }

    /// Returns how many units were refused since the last call.
    pub fn refused(&self) -> u64 {
        // Mostly there is nothing to write.
        if self.refused.load(Relaxed) == 0 {
            0
        } else {
            self.told.store(false, Relaxed);
            self.refused.swap(0, Relaxed)
        }
    }

    /// Returns whether it has been told that something was refused since [`Self::refused`] was last asked, and notes
    /// that it has now.
    pub fn is_told(&self) -> bool {
        self.told.swap(true, Relaxed)
    }
}

/// Each order in which threads, or processes, may use a budget.
#[cfg(all(loom, test))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    const NOW: Duration = Duration::from_secs(1000);
    /// A rate whose burst is one unit.
    const ONE: Rate = Rate::new(1000, 1, 1);

    /// What two threads get that do the same to a budget.
    fn both<R: Send + 'static>(budget: &Arc<Budget>, act: fn(&Budget) -> R) -> [R; 2] {
        let theirs = Arc::clone(budget);
        let other = thread::spawn(move || act(&theirs));
        [act(budget), other.join().unwrap()]
    }

    #[test]
    fn loom_two_never_take_the_same_unit() {
        loom::model(|| {
            let budget = Arc::new(Budget::default());
            let taken = both(&budget, |budget| budget.take(ONE, 1, NOW));
            assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
            assert_eq!((budget.refused(), budget.wait(ONE, NOW)), (1, Duration::ZERO));
            assert!(!budget.take(ONE, 1, NOW), "it is used up");
        });
    }

    #[test]
    fn loom_what_is_charged_by_two_is_charged_twice() {
        loom::model(|| {
            let budget = Arc::new(Budget::default());
            both(&budget, |budget| budget.charge(ONE, 2, NOW));
            assert_eq!(budget.wait(ONE, NOW), Duration::from_millis(3));
        });
    }

    #[test]
    fn loom_what_is_refused_is_told_once_and_all_of_it() {
        loom::model(|| {
            let budget = Arc::new(Budget::default());
            budget.charge(ONE, 2, NOW);
            let told = both(&budget, |budget| {
                assert!(!budget.take(ONE, 1, NOW));
                budget.refused()
            });
            assert_eq!(told.iter().sum::<u64>() + budget.refused(), 2);
        });
    }

    #[test]
    fn loom_one_of_two_tells_that_something_was_refused() {
        loom::model(|| {
            let budget = Arc::new(Budget::default());
            let told = both(&budget, Budget::is_told);
            assert!(told.contains(&false) && told.contains(&true), "{told:?}");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);
    const SECOND: Duration = Duration::from_secs(1);
    const LOG: Rate = Rate::of_log(1);

    #[test]
    fn a_burst_is_taken_at_once_and_then_the_rate() {
        let budget = Budget::default();
        assert!(budget.take(LOG, LOG_BURST as usize, START) && !budget.take(LOG, 1000, START));
        assert!(!budget.is_told() && budget.is_told());
        assert_eq!(budget.refused(), 1000);
        assert!(!budget.is_told());
        assert_eq!(budget.refused(), 0);
        assert!(budget.take(LOG, LOG_RATE as usize, START + SECOND) && !budget.take(LOG, 1000, START + SECOND));
        assert!(budget.take(LOG, LOG_BURST as usize, START + 100 * SECOND), "it fills up again, and no further");
        assert!(!budget.take(LOG, 1000, START + 100 * SECOND));
    }

    #[test]
    fn who_has_taken_too_much_waits_for_as_long_as_that_takes() {
        let budget = Budget::default();
        assert_eq!(budget.wait(LOG, START), Duration::ZERO);
        budget.charge(LOG, LOG_BURST as usize, START);
        assert_eq!(budget.wait(LOG, START), Duration::ZERO);
        budget.charge(LOG, 2 * LOG_RATE as usize, START);
        let wait = budget.wait(LOG, START);
        assert!(wait > SECOND && wait <= 2 * SECOND, "{wait:?}");
        assert_eq!(budget.wait(LOG, START + 2 * SECOND), Duration::ZERO);
    }

    #[test]
    fn a_group_of_several_processes_has_as_much_as_these() {
        let (budget, log) = (Budget::default(), Rate::of_log(3));
        assert!(budget.take(log, 3 * LOG_BURST as usize - 3, START) && !budget.take(log, 10_000, START));
        assert!(budget.take(log, 3 * LOG_RATE as usize, START + SECOND) && !budget.take(log, 10_000, START + SECOND));
    }

    #[test]
    fn messages_have_a_budget_of_their_own() {
        let budget = Budget::default();
        budget.charge(Rate::MESSAGES, DAEMON_BURST as usize, START);
        assert_eq!(budget.wait(Rate::MESSAGES, START), Duration::ZERO);
        budget.charge(Rate::MESSAGES, DAEMON_RATE as usize, START);
        let wait = budget.wait(Rate::MESSAGES, START);
        assert!(wait > SECOND - Duration::from_millis(1) && wait <= SECOND, "{wait:?}");
    }
}
