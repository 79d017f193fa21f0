//! Places that requests take, and how quickly those that wait for one get it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What those that wait for a place may foresee to wait, all of them together: as long as they do, what they occupy is
/// kept from others.
const FORESEEN: Duration = Duration::from_millis(100);
/// How many of the latest intervals make the average.
const INTERVALS: u64 = 8;

/// Places that requests take, up to a limit that each of them names. Only Apache counts here.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Places {
    taken: AtomicU32,
    /// Not 0 while none has been given back since somebody has waited for one in vain.
    stuck: AtomicU32,
    /// Requests that wait for one.
    waiting: AtomicU32,
    /// Microseconds from one that is given back to the next, on average, while somebody waits.
    interval: AtomicU32,
    /// When the last one was given back, or somebody began to wait where nobody did: microseconds of a clock that all
    /// share.
    since: AtomicU64,
}

impl Places {
    /// Takes one, unless `limit` are taken already. Says whether it does.
    pub fn take(&self, limit: u32) -> bool {
        let takes = self.taken.fetch_add(1, Relaxed) < limit;
        if !takes {
            count_down(&self.taken);
        }
        takes
    }

    /// The other half of [`take`](Self::take). The clock is asked where somebody waits.
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

    /// One more waits from now on.
    pub fn begin_to_wait(&self, now: Duration) {
        if self.waiting.fetch_add(1, Relaxed) == 0 {
            self.since.store(microseconds(now), Relaxed);
        }
    }

    /// The other half of [`begin_to_wait`](Self::begin_to_wait).
    pub fn end_waiting(&self) {
        count_down(&self.waiting);
    }

    /// Whether more wait than can hope for a place soon, as places come back. Somebody alone always may: how else would
    /// anybody know?
    pub fn is_crowded(&self, now: Duration) -> bool {
        let waiting = self.waiting.load(Relaxed);
        if waiting <= 1 {
            return false;
        }
        let interval = self.interval.load(Relaxed).max(self.average(self.since.load(Relaxed), microseconds(now)));
        u64::from(waiting) * u64::from(interval) > microseconds(FORESEEN)
    }

    /// The average interval, if one that has begun then ends now.
    fn average(&self, since: u64, now: u64) -> u32 {
        let (last, before) = (now.saturating_sub(since), u64::from(self.interval.load(Relaxed)));
        let sum = before * (INTERVALS - 1) + last.min(u32::MAX.into());
        u32::try_from(sum / INTERVALS).unwrap_or(u32::MAX)
    }

    /// Says that somebody has waited for a place in vain.
    pub fn set_stuck(&self) {
        self.stuck.store(1, Relaxed);
    }

    /// Whether no place has been given back since somebody has waited for one in vain.
    pub fn is_stuck(&self) -> bool {
        self.stuck.load(Relaxed) != 0
    }

    /// How many are taken.
    pub fn taken(&self) -> u32 {
        self.taken.load(Relaxed)
    }

    /// Begins to count anew what Apache counts, because a child has died with some of it.
    pub fn forget(&self) {
        for counter in [&self.taken, &self.stuck, &self.waiting] {
            counter.store(0, Relaxed);
        }
    }
}

/// It may be counted anew meanwhile, because an Apache child has died; it is never less than none.
fn count_down(counter: &AtomicU32) {
    let _ = counter.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
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
