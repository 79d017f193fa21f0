//! Whether a worker of Apache waits a moment for its client's next request, before the connection goes back to the
//! listener of the event MPM: two thread switches and some system calls less where the request comes.
#![forbid(unsafe_code)]

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The time that a worker waits: a client on the same network has got the response by then and sent its next request.
const MOMENT: Duration = Duration::from_millis(1);
/// For how long the only worker with a request of ours looks again and again before it sleeps: about as long as a
/// processor that sleeps needs to wake up.
const LOOKS: Duration = Duration::from_micros(30);
/// The number that stands for "each wait finds a request".
const SCALE: u32 = 1024;
/// The share of hits from which on waiting pays: a hit saves more than twice what a miss costs.
const WAITS_PAY: u32 = SCALE * 3 / 10;
/// That from which on looking pays: a miss costs a processor as much as a small request.
const LOOKS_PAY: u32 = SCALE * 6 / 10;
/// How many waits the average is of, about.
const WEIGHT: u32 = 16;
/// One request in this many waits although that does not pay, to see whether it would pay again.
const TRIAL: u32 = 64;

/// The experience of a child with waiting.
#[derive(Debug)]
pub struct Lingering {
    /// How many workers have a request of ours, or wait for one.
    busy: AtomicU32,
    waits: Experience,
    /// That with looking before.
    looks: Experience,
}

impl Lingering {
    /// The experience of a child that has not had a request.
    pub const fn new() -> Self {
        Self { busy: AtomicU32::new(0), waits: Experience::new(WAITS_PAY), looks: Experience::new(LOOKS_PAY) }
    }

    /// Counts a worker that has a request, as long as the result lives.
    pub fn busy(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Relaxed);
        Busy { lingering: self }
    }

    /// Whether more workers have a request than there are processors: then it matters which thread runs.
    pub fn is_crowded(&self, processors: usize) -> bool {
        self.busy.load(Relaxed) as usize > processors
    }

    /// Waits by `comes`, which says whether a request comes in a time, if that pays and most of the child's `threads`
    /// have nothing to do: the other half is there for connections that have no worker. `ran_here` is whether the last
    /// request was executed in this child. Returns whether a request has come.
    pub fn linger(&self, threads: u32, ran_here: bool, comes: impl Fn(Duration) -> bool) -> bool {
        let others = self.busy.load(Relaxed);
        if others >= threads / 2 || !self.waits.is_good() {
            return false;
        }
        let busy = self.busy();
        // Where a process has executed it, that needs the processor.
        let hit = others == 0 && ran_here && self.look(&comes) || comes(MOMENT);
        drop(busy);
        self.waits.learn(hit);
        hit
    }

    fn look(&self, comes: impl Fn(Duration) -> bool) -> bool {
        if !self.looks.is_good() {
            return false;
        }
        let begin = Instant::now();
        let hit = loop {
            match comes(Duration::ZERO) {
                // Others that have something to do by now may need the processor.
                false if begin.elapsed() < LOOKS && self.busy.load(Relaxed) == 1 => {}
                hit => break hit,
            }
        };
        self.looks.learn(hit);
        hit
    }
}

/// How often something has been worth it lately. All threads share it, and lose a count where they meet: it need not be
/// exact. It lies apart from what changes with each request: while waiting pays it is only read, which is cheap.
#[derive(Debug)]
#[repr(align(64))]
struct Experience {
    /// How many of the last times it was, of [`SCALE`].
    hits: AtomicU32,
    /// How often it was not tried.
    passed: AtomicU32,
    /// The share of hits from which on it pays.
    pays: u32,
}

impl Experience {
    /// That of a child that has not tried: as if it had paid just now.
    const fn new(pays: u32) -> Self {
        Self { hits: AtomicU32::new(pays + SCALE / 5), passed: AtomicU32::new(0), pays }
    }

    fn is_good(&self) -> bool {
        self.hits.load(Relaxed) >= self.pays || self.passed.fetch_add(1, Relaxed) % TRIAL == TRIAL - 1
    }

    fn learn(&self, hit: bool) {
        let hits = self.hits.load(Relaxed);
        let found = if hit { SCALE } else { 0 };
        // Rounded in the direction in which it goes, so that both ends are reached.
        let step = found.abs_diff(hits).div_ceil(WEIGHT);
        // Where nothing changes, which is most of the time, other processors keep what they have read.
        if step > 0 {
            self.hits.store(if hit { hits + step } else { hits - step }, Relaxed);
        }
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
    use std::cell::Cell;

    use super::*;

    /// How many of so many requests, which a process has executed, wait.
    fn waits(lingering: &Lingering, requests: u32, hit: bool) -> u32 {
        let waits = Cell::new(0);
        for _ in 0..requests {
            lingering.linger(8, false, |time| {
                assert_eq!(time, MOMENT, "nobody looks before");
                waits.set(waits.get() + 1);
                hit
            });
        }
        waits.get()
    }

    #[test]
    fn nobody_waits_for_clients_that_take_their_time() {
        let lingering = Lingering::new();
        assert!(waits(&lingering, 20, false) < 20);
        assert_eq!(waits(&lingering, 64 * 20, false), 20, "but for a trial now and then");
        assert!(waits(&lingering, 64 * 20, true) > 500, "which finds out when they hurry");
        assert_eq!(waits(&lingering, 1000, true), 1000);
        assert_eq!(lingering.waits.hits.load(Relaxed), SCALE);
    }

    #[test]
    fn half_of_the_workers_are_left_to_others() {
        let lingering = Lingering::new();
        let busy: Vec<_> = (0..3).map(|_| lingering.busy()).collect();
        assert_eq!(waits(&lingering, 1, true), 1);
        let fourth = lingering.busy();
        assert_eq!(waits(&lingering, 100, true), 0);
        drop((busy, fourth));
        let comes = |_| {
            assert_eq!(lingering.busy.load(Relaxed), 1, "who waits is one of them");
            true
        };
        assert!(lingering.linger(8, true, comes));
        assert!(!lingering.linger(1, true, |_| panic!("a single worker has others to look after")));
    }

    #[test]
    fn it_is_crowded_where_more_have_a_request_than_there_are_processors() {
        let lingering = Lingering::new();
        let _two = [(); 2].map(|()| lingering.busy());
        assert!(!lingering.is_crowded(2) && lingering.is_crowded(1));
    }

    #[test]
    fn who_is_alone_looks_before_it_sleeps_where_that_pays() {
        let lingering = Lingering::new();
        let looked = Cell::new(0);
        let late = |time: Duration| {
            looked.set(looked.get() + u32::from(time.is_zero()));
            !time.is_zero()
        };
        (0..20).for_each(|_| assert!(lingering.linger(8, true, late), "it comes later"));
        assert!(looked.replace(0) > 0);
        (0..20).for_each(|_| assert!(lingering.linger(8, true, late)));
        assert_eq!(looked.get(), 0, "in vain");
        let soon = |time: Duration| {
            assert_eq!(time, Duration::ZERO, "nobody sleeps");
            true
        };
        lingering.looks.hits.store(SCALE, Relaxed);
        assert!(lingering.linger(8, true, soon));
    }
}
