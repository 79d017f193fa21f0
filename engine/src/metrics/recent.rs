//! An average of durations, of which the latest ones count most.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The longest duration, microseconds, that is told from longer ones.
const LONGEST: u32 = 1 << 20;

/// A duration in microseconds, or the longest one.
pub(super) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(LONGEST).min(LONGEST)
}

/// The average of the last durations, about eight. All threads share it, and lose one where they meet: it need not be
/// exact.
#[derive(Debug)]
pub(super) struct Recent {
    micros: AtomicU32,
}

impl Recent {
    /// There were none.
    pub(super) const fn new() -> Self {
        Self { micros: AtomicU32::new(0) }
    }

    /// Notes a duration, in microseconds.
    pub(super) fn note(&self, micros: u32) {
        let recent = self.micros.load(Ordering::Relaxed);
        self.micros.store(recent - recent / 8 + micros / 8, Ordering::Relaxed);
    }

    /// Whether the average is no longer than this.
    pub(super) fn is_within(&self, limit: Duration) -> bool {
        self.micros.load(Ordering::Relaxed) <= micros(limit)
    }
}
