//! The memory in which content of a response lies on its way from a process to an Apache child. The process writes one
//! stretch behind the other, and over again from the beginning; frames tell how much there is
//! ([`crate::frame::Kind::Filled`]), so their order among the others is that of the content. The child counts what it
//! has done with, here. Each exchange begins at the beginning, with nothing in it.
//!
//! A child that has been told of content looks for more before it waits for another frame. Until then the process need
//! not tell it of each stretch: it counts here, too, what it has written, and tells of all that with the next frame
//! that it sends. That is done as long as all content of the exchange goes this way: as soon as other content follows,
//! only frames can tell the order.

use std::ops::Range;

use crate::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, fence};

/// How much content there is room for, bytes: most responses as a whole, so that neither end waits for the other.
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

/// How many words there are at the beginning of the memory.
const WORDS: usize = 4;

/// The counts at the beginning of the memory. All zero is the beginning.
#[derive(Debug, Clone, Copy)]
pub struct Counts<'m> {
    /// What the child has done with.
    taken: &'m AtomicU32,
    /// What the process has written when it began to wait for room; 0 while it does not.
    awaited: &'m AtomicU32,
    /// What the process has written.
    written: &'m AtomicU32,
    /// Whether the child will look at what has been written before it waits: not 0.
    looks: &'m AtomicU32,
}

impl<'m> Counts<'m> {
    /// Makes the counts of the first words of the memory.
    pub fn new([taken, awaited, written, looks]: &'m [AtomicU32; WORDS]) -> Self {
        Self { taken, awaited, written, looks }
    }

    /// The child begins another exchange, before the process knows of it.
    pub fn begin(&self) {
        self.taken.store(0, Relaxed);
        self.written.store(0, Relaxed);
        self.looks.store(0, Relaxed);
    }

    /// The child has done with so many bytes of this exchange. Returns whether the process waits for that.
    pub fn take(&self, bytes: u32) -> bool {
        self.taken.store(bytes, Release);
        // Of two that write one word and then read the other's, one sees what the other has written.
        fence(SeqCst);
        let awaited = self.awaited.load(Relaxed);
        awaited != 0 && awaited.wrapping_sub(bytes) as usize <= ROOM - WORTH_WAKING
    }

    /// The process has written so many bytes of this exchange. Returns whether it has to tell the child now, which will
    /// look for more from then on.
    pub fn write(&self, bytes: u32) -> bool {
        self.written.store(bytes, Release);
        fence(SeqCst);
        let sleeps = self.looks.load(Relaxed) == 0;
        if sleeps {
            self.looks.store(1, Relaxed);
        }
        sleeps
    }

    /// How many bytes the child finds that has taken so many. More than there is room for is what cannot be.
    pub fn found(&self, taken: u32) -> u32 {
        self.written.load(Acquire).wrapping_sub(taken)
    }

    /// The child does not look any more, and leaves what there is.
    pub fn rest(&self) {
        self.looks.store(0, Relaxed);
    }

    /// The child looks for the last time, as [`Self::found`]: the process has to tell it of what it writes after that.
    pub fn look_last(&self, taken: u32) -> u32 {
        self.looks.store(0, Relaxed);
        fence(SeqCst);
        self.found(taken)
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

    fn words(taken: u32) -> [AtomicU32; WORDS] {
        [taken, 0, 0, 0].map(AtomicU32::new)
    }

    #[test]
    fn what_is_not_taken_is_no_room() {
        let all = ROOM as u32;
        for first in [0, u32::MAX - 100] {
            let words = words(first);
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
            let words = words(first);
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
    fn what_is_written_is_told_once_until_the_child_has_looked_for_the_last_time() {
        for first in [0, u32::MAX - 100] {
            let words = words(first);
            let counts = Counts::new(&words);
            let [written, found] = [0, 1].map(|_| |bytes: u32| first.wrapping_add(bytes));
            assert!(counts.write(written(90)) && !counts.write(written(120)) && !counts.write(written(150)));
            assert_eq!([90, 120, 150].map(|taken| counts.found(found(taken))), [60, 30, 0]);
            assert!(counts.found(found(151)) as usize > ROOM, "more than was written");
            assert_eq!(counts.look_last(found(120)), 30);
            assert!(counts.write(written(160)) && !counts.write(written(170)));
            counts.begin();
            assert!(counts.found(0) == 0 && counts.write(1), "another exchange");
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
            let words = Arc::new([0; WORDS].map(AtomicU32::new));
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

    #[test]
    fn loom_what_is_written_is_found_or_told() {
        loom::model(|| {
            let words = Arc::new([0; WORDS].map(AtomicU32::new));
            assert!(Counts::new(&words).write(10));
            let process = {
                let words = Arc::clone(&words);
                thread::spawn(move || [20, 30].map(|written| Counts::new(&words).write(written)))
            };
            // The child has been told of the first ones, and may hear of the next ones after that.
            let counts = Counts::new(&words);
            let taken = counts.found(0);
            let taken = taken + counts.look_last(taken);
            let [tells_of_second, tells_of_third] = process.join().unwrap();
            assert!(taken >= 20 || tells_of_second, "the process relies on a child that sleeps");
            assert!(taken == 30 || tells_of_second || tells_of_third, "nobody wakes the child for the last ones");
        });
    }
}
