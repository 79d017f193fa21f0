//! The WebSockets of a process that ends: they are closed one after the other, so that their clients do not all come
//! back at once. Pure.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often some are closed.
const STEP: Duration = Duration::from_millis(100);

/// The WebSockets that are still to be closed. `E` is the type of one.
pub(super) struct Farewell<E: ?Sized> {
    left: Vec<Arc<E>>,
    /// When the last one is closed.
    until: Instant,
    /// When some are closed next; `None`: at once.
    due: Option<Instant>,
}

impl<E: ?Sized> Farewell<E> {
    /// Makes the list of those that are open.
    pub(super) fn new(left: Vec<Arc<E>>, until: Instant) -> Self {
        Self { left, until, due: None }
    }

    /// Returns those that are to be closed now, and the time after which to ask again.
    pub(super) fn step(&mut self, now: Instant) -> (Vec<Arc<E>>, Option<Duration>) {
        if self.left.is_empty() || self.due.is_some_and(|due| now < due) {
            return (Vec::new(), None);
        }
        let steps = self.until.saturating_duration_since(now).as_millis() / STEP.as_millis() + 1;
        let count = self.left.len().div_ceil(usize::try_from(steps).unwrap_or(usize::MAX));
        let leaving = self.left.split_off(self.left.len() - count);
        self.due = Some(now + STEP);
        (leaving, (!self.left.is_empty()).then_some(STEP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_leave_in_the_time_that_there_is_and_never_many_at_once() {
        let start = Instant::now();
        let mut farewell = Farewell::new((0..1000).map(Arc::new).collect(), start + Duration::from_secs(10));
        let (mut now, mut left, mut steps) = (start, 1000, 0);
        loop {
            let (leaving, next) = farewell.step(now);
            assert!((1..=20).contains(&leaving.len()), "{}", leaving.len());
            assert_eq!(farewell.step(now).0.len(), 0, "who asks too early is told nothing");
            (left, steps) = (left - leaving.len(), steps + 1);
            let Some(next) = next else { break };
            now += next;
        }
        assert_eq!(left, 0);
        assert!((90..=101).contains(&steps), "{steps}");
        assert!(now <= start + Duration::from_secs(10));
    }

    #[test]
    fn without_time_all_leave_at_once() {
        let now = Instant::now();
        let (leaving, next) = Farewell::new((0..50).map(Arc::new).collect(), now).step(now);
        assert_eq!((leaving.len(), next), (50, None));
    }
}
