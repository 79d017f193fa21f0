//! The time limit of requests. All requests have the same, so the first to begin is the first to exceed it, and one
//! timer is enough.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How many requests are listed at least before those that are over are struck off.
const SWEEP: usize = 64;

/// The limit `request-timeout`, and the requests that it is for. `E` is the type of a request.
pub(super) struct Timeouts<E: ?Sized> {
    limit: Option<Duration>,
    begun: Mutex<Begun<E>>,
}

/// The requests in the order of their beginnings; some that are over may still be listed.
struct Begun<E: ?Sized> {
    requests: VecDeque<(Instant, Weak<E>)>,
    /// The number of requests at which those that are over are struck off: twice as many as there were left the last
    /// time.
    sweep_at: usize,
}

impl<E: ?Sized> Timeouts<E> {
    /// Makes an empty list; `None`: there is no limit.
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self { limit, begun: Mutex::new(Begun { requests: VecDeque::new(), sweep_at: SWEEP }) }
    }

    fn begun(&self) -> MutexGuard<'_, Begun<E>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists a request that begins. Returns when to look at the time, if nobody is about to yet.
    pub(super) fn begins(&self, now: Instant, request: &Arc<E>) -> Option<Duration> {
        let limit = self.limit?;
        let mut begun = self.begun();
        let first = begun.requests.is_empty();
        if begun.requests.len() >= begun.sweep_at {
            // The first one stays: the timer is for it.
            let mut kept = 0;
            begun.requests.retain(|(_, request)| {
                kept += 1;
                kept == 1 || request.strong_count() > 0
            });
            begun.sweep_at = (2 * begun.requests.len()).max(SWEEP);
        }
        begun.requests.push_back((now, Arc::downgrade(request)));
        first.then_some(limit)
    }

    /// Returns the next request that has exceeded the limit; `Err` has the moment at which there may be another one, if
    /// there may be any.
    pub(super) fn late(&self, now: Instant) -> Result<Arc<E>, Option<Duration>> {
        let mut begun = self.begun();
        while let Some((since, request)) = begun.requests.front() {
            let request = request.upgrade();
            let left = self.limit.unwrap_or_default().saturating_sub(now.saturating_duration_since(*since));
            if request.is_some() && !left.is_zero() {
                return Err(Some(left));
            }
            begun.requests.pop_front();
            if let Some(request) = request {
                return Ok(request);
            }
        }
        Err(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_late_comes_first_and_who_is_over_never() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let timeouts = Timeouts::new(Some(10 * second));
        let [first, over, last] = [Arc::new(1), Arc::new(2), Arc::new(3)];
        assert_eq!(timeouts.begins(start, &first), Some(10 * second));
        assert_eq!(timeouts.begins(start + second, &over), None);
        assert_eq!(timeouts.begins(start + 2 * second, &last), None);
        drop(over);
        assert_eq!(timeouts.late(start + 9 * second), Err(Some(second)));
        assert_eq!(timeouts.late(start + 11 * second), Ok(first));
        assert_eq!(timeouts.late(start + 11 * second), Err(Some(second)));
        drop(last);
        assert_eq!(timeouts.late(start + 11 * second), Err(None));
        assert_eq!(timeouts.begins(start, &Arc::new(4)), Some(10 * second));
    }

    #[test]
    fn requests_that_are_over_take_no_memory_for_long() {
        let (timeouts, long) = (Timeouts::new(Some(Duration::from_secs(60))), Arc::new(0));
        timeouts.begins(Instant::now(), &long);
        for number in 0..10_000 {
            timeouts.begins(Instant::now(), &Arc::new(number));
        }
        assert!(timeouts.begun().requests.len() <= SWEEP);
    }

    #[test]
    fn without_a_limit_nobody_is_late() {
        let (timeouts, request) = (Timeouts::new(None), Arc::new(1));
        assert_eq!(timeouts.begins(Instant::now(), &request), None);
        assert_eq!(timeouts.late(Instant::now()), Err(None));
    }
}
