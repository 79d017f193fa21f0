//! How requests run lately: whether it pays to let one wait for another.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::computing::{self, Computing};
use super::recent::{Recent, micros};

/// Requests that take less than this on average are quick.
const QUICK: Duration = Duration::from_micros(300);

/// For how long requests had better wait for another one, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// It is quick.
    Quick,
    /// It computes, and not for long.
    Computing,
}

impl Patience {
    /// How long they wait; then it is stuck.
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Quick => Duration::from_millis(1),
            Self::Computing => computing::SHORT,
        }
    }
}

/// How many requests the mean is of, about.
const MANY: u32 = 256;

/// The mean, microseconds, of a process that has not had a request: many have to be quick before it is believed of
/// them.
const UNKNOWN: u32 = 2000;

/// How long a request takes. All threads share it, and lose a request where they meet: it need not be exact.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Those of the moment.
    recent: Recent,
    /// The average of many, in parts of [`MANY`] of a microsecond.
    mean: AtomicU32,
    /// How many requests run.
    running: AtomicU32,
    /// Whether those that are not quick compute.
    computing: Computing,
}

/// A request that runs.
pub(crate) struct Run {
    since: Instant,
    /// Where requests are not quick.
    start: Option<computing::Start>,
}

impl Pace {
    /// The pace of a process that has not had a request: it is quick, as far as only those of the moment count.
    pub(crate) const fn new() -> Self {
        Self {
            recent: Recent::new(),
            mean: AtomicU32::new(UNKNOWN * MANY),
            running: AtomicU32::new(0),
            computing: Computing::new(),
        }
    }

    /// Notes that the calling thread, which has the GIL, begins with a request.
    pub(crate) fn begins(&self, since: Instant) -> Run {
        let alone = self.running.fetch_add(1, Ordering::Relaxed) == 0;
        Run { since, start: (!self.is_quick()).then(|| self.computing.begins(alone)) }
    }

    /// Notes that the calling thread is done with a request, now.
    pub(crate) fn ended(&self, run: &Run, now: Instant) {
        let alone = self.running.fetch_sub(1, Ordering::Relaxed) == 1;
        let duration = now - run.since;
        if let Some(start) = &run.start {
            self.computing.ended(start, alone, duration);
        }
        self.took(duration);
    }

    fn took(&self, duration: Duration) {
        let micros = micros(duration);
        self.recent.note(micros);
        let mean = self.mean.load(Ordering::Relaxed);
        self.mean.store(mean - mean / MANY + micros, Ordering::Relaxed);
    }

    /// How long requests had better wait for one that begins now. `None`: they had better not.
    pub(crate) fn patience(&self) -> Option<Patience> {
        if self.is_quick() {
            return Some(Patience::Quick);
        }
        self.computing.shortly().then_some(Patience::Computing)
    }

    /// Whether requests are quick at the moment.
    fn is_quick(&self) -> bool {
        self.recent.is_within(QUICK)
    }

    /// How long a request takes on average, in microseconds, never 0. A slow one is remembered for a long time.
    pub(crate) fn mean(&self) -> u32 {
        (self.mean.load(Ordering::Relaxed) / MANY).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick(pace: &Pace, requests: u32) {
        (0..requests).for_each(|_| pace.took(Duration::from_micros(50)));
    }

    #[test]
    fn a_slow_request_is_soon_forgotten_but_by_the_mean() {
        let pace = Pace::new();
        assert!(pace.is_quick() && pace.patience() == Some(Patience::Quick) && pace.mean() == UNKNOWN);
        quick(&pace, 5000);
        assert!((49..=51).contains(&pace.mean()), "{}", pace.mean());
        pace.took(Duration::from_secs(3600));
        assert!(!pace.is_quick() && pace.patience() == Some(Patience::Computing) && pace.mean() > 4000);
        quick(&pace, 100);
        assert!(pace.is_quick() && pace.mean() > 2000);
        quick(&pace, 5000);
        assert!(pace.mean() < 100);
    }
}
