//! Whether a worker of Apache waits a moment for its client's next request, before the connection goes back to the
//! listener of the event MPM: two thread switches and some system calls less where the request comes.
#![forbid(unsafe_code)]

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// The number that stands for "each wait finds a request".
const SCALE: u32 = 1024;
/// The share of hits from which on waiting pays: a hit saves more than twice what a miss costs.
const PAYS: u32 = SCALE * 3 / 10;
/// How many waits the average is of, about.
const WEIGHT: u32 = 16;
/// One request in this many waits although that does not pay, to see whether it would pay again.
const TRIAL: u32 = 64;

/// The experience of a child with waiting. All threads share it, and lose a count where they meet: it need not be
/// exact.
#[derive(Debug)]
pub struct Lingering {
    /// How many workers have a request of ours, or wait for one.
    busy: AtomicU32,
    /// How many of the last waits have found a request, of [`SCALE`].
    hits: AtomicU32,
    /// How many requests have not waited because that does not pay.
    passed: AtomicU32,
}

impl Lingering {
    /// The experience of a child that has not had a request.
    pub const fn new() -> Self {
        Self { busy: AtomicU32::new(0), hits: AtomicU32::new(SCALE / 2), passed: AtomicU32::new(0) }
    }

    /// Counts a worker that has a request, as long as the result lives.
    pub fn busy(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Relaxed);
        Busy { lingering: self }
    }

    /// Waits by `wait`, which says whether a request has come, if that pays and most of the child's `threads` have
    /// nothing to do: the other half is there for connections that have no worker. Returns whether a request has come
    /// meanwhile.
    pub fn linger(&self, threads: u32, wait: impl FnOnce() -> bool) -> bool {
        if self.busy.load(Relaxed) >= threads / 2 || !self.is_worthwhile() {
            return false;
        }
        let busy = self.busy();
        let hit = wait();
        drop(busy);
        let hits = self.hits.load(Relaxed);
        let found = if hit { SCALE } else { 0 };
        // Rounded in the direction in which it goes, so that both ends are reached.
        let step = found.abs_diff(hits).div_ceil(WEIGHT);
        self.hits.store(if hit { hits + step } else { hits - step }, Relaxed);
        hit
    }

    fn is_worthwhile(&self) -> bool {
        self.hits.load(Relaxed) >= PAYS || self.passed.fetch_add(1, Relaxed) % TRIAL == TRIAL - 1
    }
}

/// A worker that has something to do.
#[derive(Debug)]
pub struct Busy<'l> {
    lingering: &'l Lingering,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.lingering.busy.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many requests wait.
    fn waits(lingering: &Lingering, requests: u32, hit: bool) -> u32 {
        let mut waits = 0;
        for _ in 0..requests {
            lingering.linger(8, || {
                waits += 1;
                hit
            });
        }
        waits
    }

    #[test]
    fn nobody_waits_for_clients_that_take_their_time() {
        let lingering = Lingering::new();
        assert!(waits(&lingering, 20, false) < 20);
        assert_eq!(waits(&lingering, 64 * 20, false), 20, "but for a trial now and then");
        assert!(waits(&lingering, 64 * 20, true) > 500, "which finds out when they hurry");
        assert_eq!(waits(&lingering, 1000, true), 1000);
        assert_eq!(lingering.hits.load(Relaxed), SCALE);
    }

    #[test]
    fn half_of_the_workers_are_left_to_others() {
        let lingering = Lingering::new();
        let busy: Vec<_> = (0..3).map(|_| lingering.busy()).collect();
        assert_eq!(waits(&lingering, 1, true), 1);
        let fourth = lingering.busy();
        assert_eq!(waits(&lingering, 100, true), 0);
        drop((busy, fourth));
        lingering.linger(8, || {
            assert_eq!(lingering.busy.load(Relaxed), 1, "who waits is one of them");
            true
        });
        lingering.linger(1, || panic!("a single worker has others to look after"));
    }
}
