//! Whether requests compute, or wait for something themselves.
//!
//! Threads that fight for the GIL switch several times for each request, and hold each other up: each time that one
//! gives it up for a moment, to ask SQLite for a row say, another one takes it. One that only computes is done sooner
//! if the others wait until it is. For one that waits itself, for a database elsewhere or for a client, they must not.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use wsgi_unix::{clock, usage};

use super::recent::{Recent, micros};

/// Requests that need less CPU time than this on average may be waited for if they compute; and how long others wait
/// for one of them. It is CPython's own switch interval: for as long a thread that computes keeps the GIL, whoever
/// waits.
pub(super) const SHORT: Duration = Duration::from_millis(5);

/// All requests, as the share of those that wait is counted.
const ALL: u32 = 1 << 16;

/// The largest share of requests that wait, for which the others still wait.
const FEW: u32 = ALL / 8;

/// After how many requests it is tried again whether they compute: at first, and at the most if they never do. Until
/// then many run at a time, and wait for each other's GIL: what they would do alone does not show.
const REST: u32 = 500;
const LONGEST_REST: u32 = 32_000;

/// How many requests come then that wait for each other already, while some of before still run.
const SETTLING: u32 = 50;

/// Whether the requests of a process compute. All threads share it, and lose a request where they meet: it need not be
/// exact.
#[derive(Debug)]
pub(super) struct Computing {
    /// Their CPU time.
    cpu: Recent,
    /// The share of those that have waited for anything but the GIL, of [`ALL`].
    waited: AtomicU32,
    /// How many requests are left until that is looked at again; 0 if it is.
    rest: AtomicU32,
    /// How many there will be the next time.
    next_rest: AtomicU32,
    /// When they began, and how much CPU time requests have used since then, in microseconds.
    rest_since: AtomicU64,
    rest_used: AtomicU64,
}

/// What there was when a request began.
pub(super) struct Start {
    /// Whether no other one ran.
    alone: bool,
    /// Whether it is one of those that are looked at.
    looked_at: bool,
    /// The CPU time of its thread, and how often that has waited.
    before: (Duration, Option<u64>),
}

impl Computing {
    /// Nobody has waited for anything yet.
    pub(super) const fn new() -> Self {
        Self {
            cpu: Recent::new(),
            waited: AtomicU32::new(0),
            rest: AtomicU32::new(0),
            next_rest: AtomicU32::new(REST),
            rest_since: AtomicU64::new(0),
            rest_used: AtomicU64::new(0),
        }
    }

    /// Whether requests compute, and not for long.
    pub(super) fn shortly(&self) -> bool {
        self.cpu.is_within(SHORT) && self.rest.load(Ordering::Relaxed) <= SETTLING
    }

    /// Notes that the calling thread begins with a request; whether no other one runs.
    pub(super) fn begins(&self, alone: bool) -> Start {
        let looked_at = self.rest.load(Ordering::Relaxed) == 0;
        Start { alone, looked_at, before: usage::thread_cpu_and_waits() }
    }

    /// Notes that the calling thread has done a request in this time; whether no other one runs.
    pub(super) fn ended(&self, start: &Start, alone: bool, duration: Duration) {
        let (cpu, waits) = usage::thread_cpu_and_waits();
        let (cpu_before, waits_before) = start.before;
        let cpu = cpu.saturating_sub(cpu_before);
        self.cpu.note(micros(cpu));
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > 0 {
            self.rests(rest, cpu);
        } else if start.looked_at {
            let never = waits.is_some() && waits == waits_before;
            // Beside others it may have waited for the GIL, but not for longer than they had waited.
            let long = duration > SHORT && cpu < duration / 2;
            if never || long || (start.alone && alone) {
                self.waited(!never);
            }
        }
    }

    /// Notes whether a request has waited for anything.
    fn waited(&self, has: bool) {
        let waited = self.waited.load(Ordering::Relaxed);
        let waited = waited - waited / 32 + if has { ALL / 32 } else { 0 };
        self.waited.store(waited, Ordering::Relaxed);
        if waited > FEW {
            let rest = self.next_rest.load(Ordering::Relaxed);
            self.next_rest.store((2 * rest).min(LONGEST_REST), Ordering::Relaxed);
            self.rest_for(rest);
        } else if waited < FEW / 16 {
            self.next_rest.store(REST, Ordering::Relaxed);
        }
    }

    fn rest_for(&self, requests: u32) {
        self.waited.store(0, Ordering::Relaxed);
        self.rest_used.store(0, Ordering::Relaxed);
        self.rest_since.store(clock::monotonic().as_micros() as u64, Ordering::Relaxed);
        self.rest.store(requests + SETTLING, Ordering::Relaxed);
    }

    /// Notes a request that is not looked at. Where requests use little of the GIL they do not fight for it either, and
    /// to let them wait for each other would cost those that wait themselves a lot.
    fn rests(&self, left: u32, cpu: Duration) {
        let used = self.rest_used.fetch_add(micros(cpu).into(), Ordering::Relaxed);
        let since = self.rest_since.load(Ordering::Relaxed);
        if left == SETTLING + 1 && used < (clock::monotonic().as_micros() as u64).saturating_sub(since) / 2 {
            self.rest_for(self.next_rest.load(Ordering::Relaxed));
        } else {
            self.rest.store(left - 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Requests in the rest that each need all of a processor.
    fn rest(computing: &Computing, requests: u32) {
        // Begun so long ago that they had the time for it.
        (0..requests).for_each(|_| {
            computing.rests(computing.rest.load(Ordering::Relaxed), Duration::from_secs(1));
        });
    }

    fn sleep(computing: &Computing, alone: bool, millis: u64) -> bool {
        let before = computing.waited.load(Ordering::Relaxed);
        let start = computing.begins(alone);
        std::thread::sleep(Duration::from_millis(millis));
        computing.ended(&start, alone, Duration::from_millis(millis));
        computing.waited.load(Ordering::Relaxed) > before
    }

    #[test]
    fn who_needs_less_than_a_switch_interval_computes_shortly() {
        let computing = Computing::new();
        (0..100).for_each(|_| computing.cpu.note(4000));
        assert!(computing.shortly());
        (0..100).for_each(|_| computing.cpu.note(8000));
        assert!(!computing.shortly());
    }

    #[test]
    fn where_requests_wait_it_is_tried_again_later_and_later() {
        let computing = Computing::new();
        computing.waited(true);
        (0..100).for_each(|_| computing.waited(false));
        assert!(computing.shortly());
        for length in [REST, 2 * REST, 4 * REST] {
            (0..6).for_each(|_| computing.waited(true));
            rest(&computing, length - 1);
            assert!(!computing.shortly());
            rest(&computing, 1 + SETTLING);
            assert!(computing.shortly());
        }
        (0..100).for_each(|_| computing.waited(false));
        assert_eq!(computing.next_rest.load(Ordering::Relaxed), REST);
    }

    #[test]
    fn it_is_not_tried_while_requests_hardly_use_the_gil() {
        let computing = Computing::new();
        (0..6).for_each(|_| computing.waited(true));
        std::thread::sleep(Duration::from_millis(1));
        (0..10 * REST).for_each(|_| computing.rests(computing.rest.load(Ordering::Relaxed), Duration::ZERO));
        assert!(!computing.shortly());
    }

    #[test]
    fn a_request_that_sleeps_is_seen_to_wait_if_it_ran_alone_or_for_longer_than_others_wait_for_the_gil() {
        let computing = Computing::new();
        assert!(sleep(&computing, true, 1));
        assert!(!sleep(&computing, false, 1));
        assert!(sleep(&computing, false, 6));
    }
}
