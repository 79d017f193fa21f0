//! The back-off of a process group: how long to wait before it gets another process after one that failed.

use std::time::{Duration, Instant};

/// How long to wait after the first failure.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait where processes do not even become ready.
const LONGEST: Duration = Duration::from_secs(10);

/// The longest wait where processes become ready and then fail at once: they may have answered something.
const LONGEST_AFTER_READY: Duration = Duration::from_secs(1);

/// The longest wait where another process serves, so that no request waits for the new one.
const LONGEST_REFUSED: Duration = Duration::from_secs(30);

/// A process that was ready this long shows that the group works.
const PROVEN: Duration = Duration::from_secs(1);

/// A failure this long after the last one has nothing to do with it.
const FORGET: Duration = Duration::from_secs(60);

/// The failures of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backoff {
    streak: u32,
    /// Whether the latest failed process had not even become ready.
    unready: bool,
    last: Option<Instant>,
    not_before: Option<Instant>,
}

impl Backoff {
    /// Notes that a process that was started at `started` has ended by itself at `now`; `ready` is when it became
    /// ready, if it did.
    pub fn ended(&mut self, started: Instant, ready: Option<Instant>, now: Instant) {
        self.unready = ready.is_none();
        match ready {
            Some(ready) if now.duration_since(ready) >= PROVEN => *self = Self::default(),
            Some(_) => self.failed(started, LONGEST_AFTER_READY, now),
            None => self.failed(started, LONGEST, now),
        }
    }

    /// Notes that a process that was started at `started` has said at `now` that it ends or wants to be replaced.
    /// Before it was ready for `early` that counts as a failure: its successor begins with the same conditions.
    pub fn left(&mut self, started: Instant, ready: Option<Instant>, early: Duration, now: Instant) {
        if ready.is_none_or(|ready| now.duration_since(ready) < early) {
            self.unready = ready.is_none();
            self.failed(started, LONGEST, now);
        }
    }

    /// Notes that a successor that was started at `started` could not take over at `now`.
    pub fn refused(&mut self, started: Instant, now: Instant) {
        self.failed(started, LONGEST_REFUSED, now);
    }

    fn failed(&mut self, started: Instant, longest: Duration, now: Instant) {
        // Processes that were started together fail together, for one reason.
        let same_wave = self.last.is_some_and(|last| started <= last);
        if self.last.is_some_and(|last| now.duration_since(last) >= FORGET) {
            self.streak = 0;
        }
        if !same_wave {
            self.streak += 1;
        }
        self.last = Some(now);
        let doubled = FIRST.saturating_mul(1 << self.streak.saturating_sub(1).min(16));
        self.not_before = Some(now + doubled.min(longest));
    }

    /// Whether processes do not even become ready: one such failure may be bad luck, two are not.
    pub fn is_failing(&self) -> bool {
        self.unready && self.streak >= 2
    }

    /// The moment before which no other process may start; `None` if it may start at once.
    pub fn not_before(&self) -> Option<Instant> {
        self.not_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn who_leaves_at_once_waits_longer_each_time() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        backoff.left(now, Some(now), MS(1000), now + MS(1000));
        assert_eq!(backoff.not_before(), None);
        let mut waits = Vec::new();
        for n in 0..9u32 {
            let started = now + MS(100) * n;
            backoff.left(started, Some(started), MS(1000), started + MS(50));
            waits.push((backoff.not_before().unwrap() - started - MS(50)).as_millis());
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert!(!backoff.is_failing());
    }

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let mut backoff = Backoff::default();
        let mut now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let started = now;
            now += MS(50);
            backoff.ended(started, None, now);
            let next = backoff.not_before().unwrap();
            waits.push((next - now).as_millis());
            assert_eq!(backoff.is_failing(), waits.len() > 1);
            now = next;
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    }

    #[test]
    fn a_group_that_answers_is_down_for_a_second_at_most() {
        let mut backoff = Backoff::default();
        let mut now = Instant::now();
        for _ in 0..9 {
            let started = now;
            now += MS(50);
            backoff.ended(started, Some(now - MS(10)), now);
            now = backoff.not_before().unwrap();
        }
        assert_eq!(now, backoff.last.unwrap() + MS(1000));
        assert!(!backoff.is_failing());
    }

    #[test]
    fn processes_that_fail_together_count_once() {
        let mut backoff = Backoff::default();
        let started = Instant::now();
        for n in 1..=8 {
            backoff.ended(started, None, started + MS(n));
        }
        assert_eq!(backoff.not_before(), Some(started + MS(108)));
    }

    #[test]
    fn a_process_that_was_ready_for_a_while_is_replaced_at_once() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        backoff.ended(now, None, now + MS(1));
        backoff.ended(now + MS(200), Some(now + MS(300)), now + MS(1300));
        assert_eq!(backoff.not_before(), None);
    }
}
