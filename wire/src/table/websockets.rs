//! How many WebSockets a process has.

use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;

/// A counter of WebSockets, which last for hours: when an Apache child has died with some of them, all others are
/// counted anew. The number of that counting is in the upper half, so that nobody takes back what is not counted any
/// more. All zero is none.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct WebSockets(AtomicU64);

/// The number of the counting in which a WebSocket has been counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counting(u32);

const COUNTING: u32 = 32;

fn parts(both: u64) -> (Counting, u32) {
    (Counting((both >> COUNTING) as u32), both as u32)
}

fn both(Counting(counting): Counting, count: u32) -> u64 {
    u64::from(counting) << COUNTING | u64::from(count)
}

impl WebSockets {
    /// How many there are.
    pub fn count(&self) -> u32 {
        parts(self.0.load(Relaxed)).1
    }

    /// Counts one more; `None` if there are `limit` of them already.
    pub fn take(&self, limit: u32) -> Option<Counting> {
        let more = |now| {
            let (counting, count) = parts(now);
            (count < limit).then(|| both(counting, count + 1))
        };
        self.0.fetch_update(Relaxed, Relaxed, more).ok().map(|before| parts(before).0)
    }

    /// Counts one less, if it is counted.
    pub fn give_back(&self, counted: Counting) {
        let less = |now| {
            let (counting, count) = parts(now);
            (counting == counted).then(|| both(counting, count.saturating_sub(1)))
        };
        // All have been counted anew without it.
        let _ = self.0.fetch_update(Relaxed, Relaxed, less);
    }

    /// Counts one that is there, if it has not been since all are counted anew.
    pub fn renew(&self, counted: Counting) -> Counting {
        let more = |now| {
            let (counting, count) = parts(now);
            (counting != counted).then(|| both(counting, count.saturating_add(1)))
        };
        self.0.fetch_update(Relaxed, Relaxed, more).map_or(counted, |before| parts(before).0)
    }

    /// Begins to count anew: those that are there count themselves again.
    pub fn recount(&self) {
        let anew = |now| Some(both(Counting(parts(now).0.0.wrapping_add(1)), 0));
        // It never refuses.
        let _ = self.0.fetch_update(Relaxed, Relaxed, anew);
    }

    /// Forgets all, of a process that has ended.
    pub(super) fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_taken_than_may_be() {
        let sockets = WebSockets::default();
        let taken = [(); 2].map(|()| sockets.take(2));
        assert!(taken.iter().all(Option::is_some) && sockets.take(2).is_none());
        sockets.give_back(taken[0].unwrap());
        assert_eq!(sockets.count(), 1);
        assert!(sockets.take(2).is_some());
    }

    #[test]
    fn who_lives_is_counted_anew_and_once() {
        let sockets = WebSockets::default();
        let [lives, ends, dead] = [(); 3].map(|()| sockets.take(9).unwrap());
        sockets.recount();
        assert_eq!(sockets.count(), 0);
        sockets.give_back(ends);
        let again = sockets.renew(lives);
        assert_eq!((sockets.renew(again), sockets.count()), (again, 1));
        assert_ne!(again, dead);
        sockets.give_back(again);
        assert_eq!(sockets.count(), 0);
    }
}
