//! The memory in which content of a response lies on its way from a process to an Apache child. The process writes one
//! stretch behind the other, and over again from the beginning; a frame tells of each
//! ([`crate::frame::Kind::Filled`]), so its order among the other frames is that of the content. The child counts what
//! it has done with, here. Each exchange begins at the beginning, with nothing in it.

use std::ops::Range;

use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, fence};

/// How much content there is room for, bytes: most responses as a whole, so that each end is woken once.
pub const ROOM: usize = 1 << 20;

/// Where the content begins, bytes: behind the counts.
pub const START: usize = 4096;

/// The size of the memory.
pub const SIZE: usize = START + ROOM;

/// How much room a process waits for when there is none, bytes: each wake-up costs both ends more than some copying.
const WORTH_WAKING: usize = ROOM / 2;

/// Where so many bytes lie in the memory behind so many others: two stretches, the second of which may be empty.
pub fn stretches(before: u32, length: usize) -> [Range<usize>; 2] {
    let at = before as usize % ROOM;
    let first = length.min(ROOM - at);
    let second = length.saturating_sub(first).min(ROOM);
    [START + at..START + at + first, START..START + second]
}

/// The counts at the beginning of the memory. All zero is the beginning.
#[derive(Debug, Clone, Copy)]
pub struct Counts<'m> {
    taken: &'m AtomicU32,
    awaited: &'m AtomicU32,
}

impl<'m> Counts<'m> {
    /// Makes the counts of the first words of the memory.
    pub fn new([taken, awaited]: &'m [AtomicU32; 2]) -> Self {
        Self { taken, awaited }
    }

    /// The child has done with so many bytes of this exchange. Returns whether the process waits for that.
    pub fn take(&self, bytes: u32) -> bool {
        self.taken.store(bytes, Release);
        // Of two that write one word and then read the other's, one sees what the other has written.
        fence(SeqCst);
        let awaited = self.awaited.load(Relaxed);
        awaited != 0 && awaited.wrapping_sub(bytes) as usize <= ROOM - WORTH_WAKING
    }

    /// For how many bytes there is room where so many have been written. A count that cannot be, because somebody has
    /// written there, is no room.
    pub fn room(&self, written: u32) -> usize {
        room(written, self.taken.load(Acquire))
    }

    /// The process is about to wait for room. Returns the count that it waits to change, unless there is room by now.
    pub fn wait(&self, written: u32) -> Option<u32> {
        // 0 is nobody. Who waits for one byte more than there is notices as soon as for that one.
        self.awaited.store(written.max(1), Relaxed);
        fence(SeqCst);
        let taken = self.taken.load(Acquire);
        (room(written, taken) < WORTH_WAKING).then_some(taken)
    }

    /// The process does not wait any more.
    pub fn waited(&self) {
        self.awaited.store(0, Relaxed);
    }

    /// The count of the child, as the futex to sleep on.
    pub fn taken(&self) -> &'m AtomicU32 {
        self.taken
    }
}

fn room(written: u32, taken: u32) -> usize {
    ROOM.saturating_sub(written.wrapping_sub(taken) as usize)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_no_room() {
        let all = ROOM as u32;
        for first in [0, u32::MAX - 100] {
            let words = [AtomicU32::new(first), AtomicU32::new(0)];
            let counts = Counts::new(&words);
            let written = first.wrapping_add(all);
            assert_eq!([first, first.wrapping_add(10), written].map(|n| counts.room(n)), [ROOM, ROOM - 10, 0]);
            counts.take(written.wrapping_add(1));
            assert_eq!(counts.room(written), 0, "more than was written");
        }
    }

    #[test]
    fn a_process_that_waits_is_woken_once_it_is_worth_it() {
        let (all, half) = (ROOM as u32, WORTH_WAKING as u32);
        for first in [0, u32::MAX - 100] {
            let words = [AtomicU32::new(first), AtomicU32::new(0)];
            let counts = Counts::new(&words);
            let written = first.wrapping_add(all);
            assert!(!counts.take(first.wrapping_add(half)), "nobody waits");
            counts.take(first);
            assert_eq!(counts.wait(written), Some(first));
            assert!(!counts.take(first.wrapping_add(half - 1)));
            assert_eq!(counts.wait(written), Some(first.wrapping_add(half - 1)));
            assert!(counts.take(first.wrapping_add(half)));
            assert_eq!(counts.wait(written), None);
            counts.waited();
            assert!(!counts.take(written));
        }
    }

    #[test]
    fn content_goes_on_at_the_beginning() {
        let ends = |before, length| stretches(before, length).map(|range| (range.start, range.len()));
        assert_eq!(ends(0, ROOM), [(START, ROOM), (START, 0)]);
        assert_eq!(ends(10, ROOM), [(START + 10, ROOM - 10), (START, 10)]);
        assert_eq!(ends(ROOM as u32, 7), [(START, 7), (START, 0)]);
        // Nothing lies outside, whatever is asked for.
        assert!(stretches(u32::MAX, usize::MAX).into_iter().all(|range| range.end <= SIZE));
        // Counts wrap: `u32::MAX + 1` is a multiple of it.
        assert!(ROOM.is_power_of_two());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    #[test]
    fn loom_a_process_that_waits_for_room_is_woken() {
        loom::model(|| {
            let words = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
            let child = {
                let words = Arc::clone(&words);
                thread::spawn(move || Counts::new(&words).take(ROOM as u32))
            };
            // The kernel looks at the count once more before it lets somebody sleep; that look is the one here.
            let sleeps = Counts::new(&words).wait(ROOM as u32).is_some();
            let wakes = child.join().unwrap();
            assert!(wakes || !sleeps, "a process sleeps that nobody wakes");
        });
    }
}
