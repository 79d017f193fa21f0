//! How long requests take lately: whether it pays to let one wait for another.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Requests that take less than this on average are quick.
const QUICK: Duration = Duration::from_micros(300);

/// The longest duration, microseconds, that is told from longer ones.
const LONGEST: u32 = 1 << 20;

/// How many requests the mean is of, about.
const MANY: u32 = 256;

/// The mean, microseconds, of a process that has not had a request: many have to be quick before it is believed of
/// them.
const UNKNOWN: u32 = 2000;

/// How long a request takes. All threads share it, and lose a request where they meet: it need not be exact.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The average in microseconds, the latest ones counting most.
    recent: AtomicU32,
    /// The average of many, in parts of [`MANY`] of a microsecond.
    mean: AtomicU32,
}

impl Pace {
    /// The pace of a process that has not had a request: it is quick, as far as only those of the moment count.
    pub(crate) const fn new() -> Self {
        Self { recent: AtomicU32::new(0), mean: AtomicU32::new(UNKNOWN * MANY) }
    }

    /// Notes how long a request has taken.
    pub(crate) fn took(&self, duration: Duration) {
        let micros = u32::try_from(duration.as_micros()).unwrap_or(LONGEST).min(LONGEST);
        let recent = self.recent.load(Ordering::Relaxed);
        self.recent.store(recent - recent / 8 + micros / 8, Ordering::Relaxed);
        let mean = self.mean.load(Ordering::Relaxed);
        self.mean.store(mean - mean / MANY + micros, Ordering::Relaxed);
    }

    /// Whether requests are quick at the moment.
    pub(crate) fn is_quick(&self) -> bool {
        self.recent.load(Ordering::Relaxed) <= QUICK.as_micros() as u32
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
        assert!(pace.is_quick() && pace.mean() == UNKNOWN);
        quick(&pace, 5000);
        assert!((49..=51).contains(&pace.mean()), "{}", pace.mean());
        pace.took(Duration::from_secs(3600));
        assert!(!pace.is_quick() && pace.mean() > 4000);
        quick(&pace, 100);
        assert!(pace.is_quick() && pace.mean() > 2000);
        quick(&pace, 5000);
        assert!(pace.mean() < 100);
    }
}
