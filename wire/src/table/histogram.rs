//! A histogram that many processes add to at the same time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How many buckets there are, the last one without an upper bound.
pub const BUCKETS: usize = 25;

/// The upper bound of the first bucket, nanoseconds. Each bucket reaches twice as far as the one before: 62.5 µs, … 1
/// ms, 2 ms, … 524 s.
const FIRST: u64 = 62_500;

/// A histogram of durations. All zero is empty.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Histogram {
    nanoseconds: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
}

/// The state of a histogram at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Distribution {
    /// The sum of all durations.
    pub sum: Duration,
    /// How many durations fell into each bucket, not cumulative.
    pub buckets: [u64; BUCKETS],
}

/// The upper bound of a bucket; `None` for the last one.
pub fn bound(bucket: usize) -> Option<Duration> {
    (bucket < BUCKETS - 1).then(|| Duration::from_nanos(FIRST << bucket))
}

impl Histogram {
    /// Adds a duration.
    pub fn add(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let octave = (nanoseconds / FIRST).checked_ilog2().map_or(0, |log| log as usize + 1);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
        self.buckets[octave.min(BUCKETS - 1)].fetch_add(1, Relaxed);
    }

    /// Reads what has been added so far.
    pub fn read(&self) -> Distribution {
        Distribution {
            sum: Duration::from_nanos(self.nanoseconds.load(Relaxed)),
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].load(Relaxed)),
        }
    }

    pub(super) fn clear(&self) {
        self.nanoseconds.store(0, Relaxed);
        self.buckets.iter().for_each(|bucket| bucket.store(0, Relaxed));
    }
}

impl Distribution {
    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Adds the durations of another one. What processes write about themselves may be any number.
    pub fn merge(&mut self, other: &Self) {
        self.sum = self.sum.saturating_add(other.sum);
        for (count, more) in self.buckets.iter_mut().zip(other.buckets) {
            *count = count.saturating_add(more);
        }
    }

    /// The mean; `None` without durations.
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        (count > 0).then(|| self.sum.div_f64(count as f64))
    }

    /// The duration that this share of the durations (0 to 1) does not exceed, estimated as Prometheus does: within a
    /// bucket they count as evenly spread, and those in the last one as its lower bound. `None` without durations.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = share * self.count() as f64;
        let (mut below, mut lower) = (0.0, Duration::ZERO);
        for (bucket, count) in self.buckets.iter().enumerate().filter(|(_, count)| **count > 0) {
            lower = bucket.checked_sub(1).and_then(bound).unwrap_or_default();
            let Some(upper) = bound(bucket) else { break };
            let count = *count as f64;
            if below + count >= rank {
                return Some(lower + (upper - lower).mul_f64(((rank - below) / count).clamp(0.0, 1.0)));
            }
            below += count;
        }
        (self.count() > 0).then_some(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_below_its_bound() {
        for (bucket, micros) in [(0, 0), (0, 62), (1, 63), (1, 124), (2, 125), (4, 999), (5, 1000), (24, 600_000_000)] {
            let histogram = Histogram::default();
            histogram.add(Duration::from_micros(micros));
            let found = histogram.read();
            assert_eq!(found.buckets.iter().position(|n| *n == 1), Some(bucket), "{micros} µs");
            assert!(bound(bucket).is_none_or(|bound| found.sum < bound));
        }
        assert_eq!(bound(4), Some(Duration::from_millis(1)));
        assert_eq!(bound(BUCKETS - 1), None);
    }

    #[test]
    fn numbers_of_any_size_have_a_sum() {
        let wild = Distribution { sum: Duration::MAX, buckets: [u64::MAX; BUCKETS] };
        let mut all = wild;
        all.merge(&wild);
        assert_eq!((all, all.count()), (wild, u64::MAX));
        assert!(all.mean().is_some() && all.quantile(0.5).is_some());
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let histogram = Histogram::default();
        assert_eq!((histogram.read().mean(), histogram.read().quantile(0.5)), (None, None));
        for _ in 0..90 {
            histogram.add(Duration::from_millis(3));
        }
        for _ in 0..10 {
            histogram.add(Duration::from_millis(100));
        }
        let found = histogram.read();
        assert_eq!((found.count(), found.mean()), (100, Some(Duration::from_micros(12_700))));
        let half = found.quantile(0.5).unwrap();
        assert!(half > Duration::from_millis(2) && half < Duration::from_millis(4));
        let max = found.quantile(0.99).unwrap();
        assert!(max > Duration::from_millis(64) && max < Duration::from_millis(128));
        assert_eq!(found.quantile(1.0), Some(Duration::from_millis(128)));
    }
}
