//! Places that requests take, up to a limit, and how soon the requests that wait for one get it.

use std::time::Duration;

use crate::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// How long all requests that wait for a place may have to wait together, as foreseen: as long as they do, what they
/// occupy is kept from others.
const FORESEEN: Duration = Duration::from_millis(100);
/// How many of the latest intervals make the average.
const INTERVALS: u64 = 8;
/// How long requests may find no place before one of them is turned away: many visitors at once, or the first requests
/// of an application that has just started, are no reason to.
const BURST: Duration = Duration::from_secs(2);
/// How long no request may have been in want of a place for the next burst to be forgiven: who sends one burst after
/// the other occupies what is left to others for at most a fifteenth of the time.
const CALM: Duration = Duration::from_secs(30);

/// The places that requests take, up to a limit that each request names. Only Apache counts here.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Places {
    taken: AtomicU32,
    /// Not 0 after a request has waited for a place in vain, until one is given back.
    stuck: AtomicU32,
    /// How many requests wait for a place.
    waiting: AtomicU32,
    /// The average time from one place that is given back to the next, microseconds, while a request waits.
    interval: AtomicU32,
    /// When the last place was given back, or a request began to wait where none did: microseconds of a clock that all
    /// processes share.
    since: AtomicU64,
    /// When requests began to be in want of a place, and when one last was, microseconds of the same clock.
    wanted_since: AtomicU64,
    wanted: AtomicU64,
}

impl Places {
    /// Takes a place, unless `limit` are taken already. Returns whether it does.
    pub fn take(&self, limit: u32) -> bool {
        let takes = self.taken.fetch_add(1, Relaxed) < limit;
        if !takes {
            count_down(&self.taken);
        }
        takes
    }

    /// Gives a place back that [`take`](Self::take) has taken. The clock is asked where a request waits.
    pub fn give_back(&self, clock: impl FnOnce() -> Duration) {
        count_down(&self.taken);
        if self.waiting.load(Relaxed) > 0 {
            let now = microseconds(clock());
            // What two of them write at the same moment may be lost: the average bears that.
            self.interval.store(self.average(self.since.swap(now, Relaxed), now), Relaxed);
        }
        if self.is_stuck() {
            self.stuck.store(0, Relaxed);
        }
    }

    /// Counts one more request that waits.
    pub fn begin_to_wait(&self, now: Duration) {
        if self.waiting.fetch_add(1, Relaxed) == 0 {
            self.since.store(microseconds(now), Relaxed);
        }
    }

    /// Counts a request that [`begin_to_wait`](Self::begin_to_wait) has counted no more.
    pub fn end_waiting(&self) {
        count_down(&self.waiting);
    }

    /// Whether more requests wait than can hope for a place soon, at the rate at which places come back. A single
    /// request always may wait: otherwise nobody would notice that places come back.
    pub fn is_crowded(&self, now: Duration) -> bool {
        let waiting = self.waiting.load(Relaxed);
        if waiting <= 1 {
            return false;
        }
        let interval = self.interval.load(Relaxed).max(self.average(self.since.load(Relaxed), microseconds(now)));
        u64::from(waiting) * u64::from(interval) > microseconds(FORESEEN)
    }

    /// Whether a request that would be turned away now may stay: the group has begun only just now to have too few
    /// places, so that it may be a burst.
    pub fn is_burst(&self, now: Duration) -> bool {
        let (now, last) = (microseconds(now), self.wanted.load(Relaxed));
        if last == 0 || now.saturating_sub(last) > microseconds(CALM) {
            // Others may see the same at the same moment: each of them sets the same time, more or less.
            self.wanted_since.store(now, Relaxed);
        }
        self.wanted.store(now, Relaxed);
        now.saturating_sub(self.wanted_since.load(Relaxed)) < microseconds(BURST)
    }

    /// The average interval, if the interval that began at `since` ends now.
    fn average(&self, since: u64, now: u64) -> u32 {
        let (last, before) = (now.saturating_sub(since), u64::from(self.interval.load(Relaxed)));
        let sum = before * (INTERVALS - 1) + last.min(u32::MAX.into());
        u32::try_from(sum / INTERVALS).unwrap_or(u32::MAX)
    }

    /// Notes that a request has waited for a place in vain.
    pub fn set_stuck(&self) {
        self.stuck.store(1, Relaxed);
    }

    /// Whether no place has been given back since a request has waited for one in vain.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Relaxed) != 0
    }

    /// How many places are taken.
    pub fn taken(&self) -> u32 {
        self.taken.load(Relaxed)
    }

    /// Counts anew, because an Apache child has died with some places.
    pub fn forget(&self) {
        for counter in [&self.taken, &self.stuck, &self.waiting] {
            counter.store(0, Relaxed);
        }
    }
}

/// How many configurations are counted apart: the one in force, and those before it whose requests go on.
const CONFIGURATIONS: usize = 4;

/// The places of each configuration: after a graceful restart requests of earlier configurations go on, and take no
/// places of the next one.
#[derive(Debug, Default)]
#[repr(C)]
pub struct PlacesOfConfigurations([Places; CONFIGURATIONS]);

impl PlacesOfConfigurations {
    /// The places of the configuration with this number.
    pub fn of(&self, generation: u32) -> &Places {
        &self.0[generation as usize % CONFIGURATIONS]
    }

    /// Counts anew, because an Apache child has died with some places.
    pub fn forget(&self) {
        self.0.iter().for_each(Places::forget);
    }
}

/// Counts one down, but never below zero: an Apache child may have died meanwhile, so that all is counted anew.
fn count_down(counter: &AtomicU32) {
    let _ = counter.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Each order in which Apache's workers may take places and give them back.
#[cfg(all(loom, test))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::Ordering::SeqCst;
    use loom::thread;

    use super::*;

    const NOW: Duration = Duration::from_secs(1);

    /// Takes a place, if there is one, and gives it back; `holders` counts those that have one.
    fn use_one(places: &Places, holders: &AtomicU32) {
        if places.take(1) {
            assert_eq!(holders.fetch_add(1, SeqCst), 0, "two have the only place");
            holders.fetch_sub(1, SeqCst);
            places.give_back(|| NOW);
        }
    }

    #[test]
    fn loom_no_more_have_a_place_than_there_are() {
        loom::model(|| {
            let memory = Arc::new((Places::default(), AtomicU32::new(0)));
            let theirs = Arc::clone(&memory);
            let other = thread::spawn(move || use_one(&theirs.0, &theirs.1));
            use_one(&memory.0, &memory.1);
            other.join().unwrap();
            assert_eq!(memory.0.taken(), 0, "what was refused counts no more, nor what was given back");
            assert!(memory.0.take(1));
        });
    }

    #[test]
    fn loom_what_is_counted_anew_is_never_less_than_none() {
        loom::model(|| {
            let memory = Arc::new((Places::default(), AtomicU32::new(0)));
            let theirs = Arc::clone(&memory);
            let other = thread::spawn(move || use_one(&theirs.0, &theirs.1));
            memory.0.forget();
            other.join().unwrap();
            assert_eq!(memory.0.taken(), 0);
        });
    }

    #[test]
    fn loom_one_that_comes_back_after_a_wait_in_vain_ends_the_standstill() {
        loom::model(|| {
            let places = Arc::new(Places::default());
            assert!(places.take(1));
            let theirs = Arc::clone(&places);
            let waits = thread::spawn(move || {
                theirs.begin_to_wait(NOW);
                if !theirs.take(1) {
                    theirs.set_stuck();
                }
                theirs.end_waiting();
            });
            places.give_back(|| NOW);
            waits.join().unwrap();
            // The one that waited has the place, or whoever takes it next ends the standstill.
            if places.taken() == 0 {
                assert!(places.take(1));
            }
            places.give_back(|| NOW);
            assert!(!places.is_stuck() && places.taken() == 0 && !places.is_crowded(2 * NOW));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn no_more_places_are_taken_than_there_are() {
        let places = Places::default();
        let take = |limit| places.take(limit);
        assert_eq!([take(2), take(2), take(2), take(3)], [true, true, false, true]);
        (0..4).for_each(|_| places.give_back(|| panic!("nobody waits")));
        assert_eq!(places.taken(), 0, "one was counted anew in between");
        assert!(take(1) && !take(1));
        places.begin_to_wait(at(0));
        places.forget();
        places.end_waiting();
        assert!(take(1) && !places.is_crowded(at(9000)));
    }

    /// Of so many that wait, how many see that they need not, one after the other, when places come back so far apart.
    fn give_up(waiting: u32, interval: u64) -> u32 {
        let places = Places::default();
        (0..waiting).for_each(|_| places.begin_to_wait(at(0)));
        let now = interval * 100;
        (1..=100).for_each(|n| places.give_back(|| at(interval * n)));
        (0..waiting)
            .filter(|_| {
                places.is_crowded(at(now)) && {
                    places.end_waiting();
                    true
                }
            })
            .count() as u32
    }

    #[test]
    fn as_many_wait_as_will_soon_have_a_place() {
        // Four at 2 ms wait for 8 ms, a hundred for 200.
        for (waiting, interval, too_many) in [(4, 2, 0), (4, 20, 0), (40, 2, 0), (100, 2, 50), (4, 50, 2), (4, 400, 3)]
        {
            assert!(give_up(waiting, interval).abs_diff(too_many) <= waiting / 20, "{waiting} {interval}");
        }
    }

    #[test]
    fn a_burst_is_forgiven_and_the_next_one_after_a_calm_only() {
        let places = Places::default();
        assert!([1, 500, 1999].iter().all(|now| places.is_burst(at(*now))));
        // However often somebody asks, it has lasted too long now, and until there is a calm.
        assert!([2001, 2002, 20_000, 49_000, 78_000, 108_000].iter().all(|now| !places.is_burst(at(*now))));
        assert!(places.is_burst(at(138_001)) && places.is_burst(at(140_000)) && !places.is_burst(at(140_001)));
    }

    #[test]
    fn where_no_place_comes_back_one_alone_waits() {
        let places = Places::default();
        (0..3).for_each(|_| places.begin_to_wait(at(5000)));
        assert!(!places.is_crowded(at(5200)), "it may have been by chance");
        assert!(places.is_crowded(at(5300)));
        places.end_waiting();
        assert!(!places.is_crowded(at(5300)) && places.is_crowded(at(5500)));
        places.end_waiting();
        assert!(!places.is_crowded(at(99_000)));
        // Idle time is nobody's wait.
        places.end_waiting();
        (0..3).for_each(|_| places.begin_to_wait(at(200_000)));
        assert!(!places.is_crowded(at(200_100)));
    }
}
