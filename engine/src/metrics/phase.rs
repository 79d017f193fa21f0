//! Durations of one phase of requests: mean, extremes and a histogram.

use std::time::Duration;

/// Buckets of a histogram: four for each octave of milliseconds from 1 ms to 65536 ms, one below and one above.
pub(crate) const BUCKETS: usize = 65;

/// The durations of one phase in an interval.
#[derive(Debug, Clone)]
pub(crate) struct Phase {
    sum: Duration,
    count: u64,
    min: Option<Duration>,
    max: Option<Duration>,
    /// How many durations are in each bucket.
    pub(crate) buckets: [u64; BUCKETS],
}

impl Default for Phase {
    fn default() -> Self {
        Self { sum: Duration::ZERO, count: 0, min: None, max: None, buckets: [0; BUCKETS] }
    }
}

impl Phase {
    /// Adds a duration.
    pub(crate) fn add(&mut self, duration: Duration) {
        self.sum += duration;
        self.count += 1;
        self.min = Some(self.min.map_or(duration, |min| min.min(duration)));
        self.max = Some(self.max.map_or(duration, |max| max.max(duration)));
        self.buckets[bucket(duration)] += 1;
    }

    /// The mean in seconds, 0 without durations.
    pub(crate) fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum.as_secs_f64() / self.count as f64 }
    }

    /// The shortest and the longest duration.
    pub(crate) fn range(&self) -> (Option<Duration>, Option<Duration>) {
        (self.min, self.max)
    }

    /// The shortest and the longest duration, in microseconds.
    pub(crate) fn extremes(&self) -> (Option<u64>, Option<u64>) {
        let micros = |d: Duration| d.as_micros() as u64;
        (self.min.map(micros), self.max.map(micros))
    }
}

/// The bucket of a duration: 0 below 1 ms, 64 from 65536 ms on, and between these four for each octave, cut at equal
/// distances.
fn bucket(duration: Duration) -> usize {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 1.0 {
        return 0;
    }
    let octave = ms.log2().floor();
    if octave >= 16.0 {
        return BUCKETS - 1;
    }
    let quarter = ((ms / octave.exp2() - 1.0) * 4.0).floor().clamp(0.0, 3.0);
    octave as usize * 4 + quarter as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_quarters_of_octaves() {
        let of = |ms: f64| bucket(Duration::from_secs_f64(ms / 1000.0));
        for (ms, expected) in [
            (0.0, 0),
            (0.9, 0),
            (1.0, 0),
            (1.3, 1),
            (1.9, 3),
            (2.0, 4),
            (3.0, 6),
            (65535.0, 63),
            (65536.0, 64),
            (1e9, 64),
        ] {
            assert_eq!(of(ms), expected, "{ms} ms");
        }
    }

    #[test]
    fn mean_and_extremes() {
        let mut phase = Phase::default();
        assert_eq!((phase.mean(), phase.extremes()), (0.0, (None, None)));
        for ms in [10, 30] {
            phase.add(Duration::from_millis(ms));
        }
        assert_eq!(phase.extremes(), (Some(10_000), Some(30_000)));
        assert!((phase.mean() - 0.02).abs() < 1e-9);
        assert_eq!(phase.buckets.iter().sum::<u64>(), 2);
    }
}
