//! This child's end of the memory that content of one connection's process comes through ([`wsgi_wire::ring`]).
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::thread::futex;
use wsgi_unix::fork::Unshared;
use wsgi_unix::fork::mapped::{Mapped, Outside};
use wsgi_unix::kept_memory::Kept;
use wsgi_wire::ring::{self, Counts};

use super::passed;
use super::violation::Violation;

/// The memory, in which one stretch after the other is written and taken.
#[derive(Debug)]
pub struct Ring {
    file: Unshared<OwnedFd>,
    memory: Mapped,
    /// How much has been taken in this exchange, bytes; wraps.
    taken: Cell<u32>,
    /// How much of it frames have told of, bytes; wraps.
    told: Cell<u32>,
    /// Whether a frame has told of any in this exchange.
    used: Cell<bool>,
    /// Whether other content has come after some of this, so that only frames tell the order.
    mixed: Cell<bool>,
    /// Whether the process relies on this child to look for more.
    looks: Cell<bool>,
}

/// Content that is there, as long as the process leaves it alone.
#[derive(Debug, Clone, Copy)]
pub struct Filled<'r> {
    ring: &'r Ring,
    length: usize,
}

impl Ring {
    /// Takes the memory that a process has made.
    ///
    /// # Errors
    /// [`Violation::Ring`] if it is none, or the system cannot map it.
    pub fn new(file: OwnedFd) -> Result<Self, Violation> {
        let memory = Mapped::new(&file, ring::SIZE).map_err(|_| Violation::Ring)?;
        let (taken, told, used, mixed, looks) = Default::default();
        Ok(Self { file: file.into(), memory, taken, told, used, mixed, looks })
    }

    /// Begins another exchange, of which nothing is there yet.
    pub fn begin(&self) {
        self.taken.set(0);
        self.told.set(0);
        self.used.set(false);
        self.mixed.set(false);
        self.looks.set(false);
        self.counts().begin();
    }

    fn counts(&self) -> Counts<'_> {
        Counts::new(self.memory.words())
    }

    /// The next content, of so much of which a frame has told now, with what has been written since; `None` if it has
    /// been found before.
    ///
    /// # Errors
    /// [`Violation::Filled`]
    pub fn told(&self, length: u32) -> Result<Option<Filled<'_>>, Violation> {
        if length == 0 {
            return Err(Violation::Filled);
        }
        let looks = !self.mixed.get() && !self.is_far_ahead();
        let left = length.saturating_sub(self.ahead()) as usize;
        if left > ring::ROOM {
            return Err(Violation::Filled);
        }
        self.told.set(self.told.get().wrapping_add(length));
        self.used.set(true);
        self.looks.set(!self.mixed.get());
        let found = if looks { self.counts().found(self.taken.get()) } else { 0 };
        Ok(self.content(found).filter(|content| content.length > left).or(self.content(left as u32)))
    }

    /// How much has been found that no frame has told of yet, bytes.
    fn ahead(&self) -> u32 {
        self.taken.get().wrapping_sub(self.told.get())
    }

    /// Whether so much has been found that an honest process has sent a frame by now. Who writes for ever must not keep
    /// this child from reading.
    fn is_far_ahead(&self) -> bool {
        self.ahead() as usize >= 2 * ring::ROOM
    }

    /// Other content has come.
    ///
    /// # Errors
    /// [`Violation::Filled`] if frames have not told of all that was found: its place was behind that.
    pub fn mix(&self) -> Result<(), Violation> {
        self.check_told()?;
        self.mixed.set(self.used.get());
        // The process relies on nobody from here on.
        self.looks.set(false);
        Ok(())
    }

    /// Checks that frames have told of all that was found.
    ///
    /// # Errors
    /// [`Violation::Filled`]
    pub fn check_told(&self) -> Result<(), Violation> {
        if self.ahead() == 0 { Ok(()) } else { Err(Violation::Filled) }
    }

    /// The next content of which no frame has told. If there is none, or with `last`, the process tells of what it
    /// writes from now on.
    pub fn find(&self, last: bool) -> Option<Filled<'_>> {
        if !self.looks.get() {
            return None;
        }
        let taken = self.taken.get();
        let last = last || self.is_far_ahead();
        let found = if last { None } else { self.content(self.counts().found(taken)) };
        found.or_else(|| {
            self.looks.set(false);
            self.content(self.counts().look_last(taken))
        })
    }

    /// This child does not look any more, nor read: whoever tells it of more notices.
    pub fn rest(&self) {
        self.looks.set(false);
        self.counts().rest();
    }

    /// The next content of this length; `None` if it is none, or cannot be, because somebody else has written the
    /// count.
    fn content(&self, length: u32) -> Option<Filled<'_>> {
        let length = length as usize;
        (1..=ring::ROOM).contains(&length).then_some(Filled { ring: self, length })
    }
}

impl<'r> Filled<'r> {
    /// How many bytes there are.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether frames have told of all of it.
    pub fn is_told(&self) -> bool {
        self.ring.told.get().wrapping_sub(self.ring.taken.get()) as usize == self.length
    }

    fn stretches(&self, at: usize, length: usize) -> [Range<usize>; 2] {
        let at = at.min(self.length);
        ring::stretches(self.ring.taken.get().wrapping_add(at as u32), length.min(self.length - at))
    }

    /// The bytes from there on, so many of them at the most, where they are.
    pub fn part(&self, at: usize, length: usize) -> impl Iterator<Item = Outside<'r>> {
        let memory = &self.ring.memory;
        self.stretches(at, length).into_iter().filter_map(|range| memory.outside(range.start, range.len()))
    }

    /// A copy of the bytes from there on.
    ///
    /// # Errors
    /// [`Violation::File`] if they cannot be read.
    pub fn copy(&self, at: usize) -> Result<Kept, Violation> {
        let mut bytes = Kept::to_be_filled(self.length.saturating_sub(at));
        let mut rest = bytes.as_mut_slice();
        for range in self.stretches(at, rest.len()) {
            let (into, others) = rest.split_at_mut(range.len());
            passed::read(&self.ring.file, range.start as u64, into)?;
            rest = others;
        }
        Ok(bytes)
    }

    /// The content is not needed any more: the process may write over it.
    pub fn take(self) {
        let taken = self.ring.taken.get().wrapping_add(self.length as u32);
        self.ring.taken.set(taken);
        let counts = self.ring.counts();
        if counts.take(taken) {
            // Nobody may wait by now.
            let _ = futex::wake(counts.taken(), futex::Flags::empty(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use wsgi_unix::shared_memory;

    use super::*;

    /// The memory as the process has it, and as the child has it.
    fn both_ends() -> (Mapped, Ring) {
        let file = shared_memory::create(c"test", ring::SIZE).unwrap();
        (Mapped::new(&file, ring::SIZE).unwrap(), Ring::new(file).unwrap())
    }

    #[test]
    fn content_is_read_where_it_lies_and_makes_room_when_it_is_taken() {
        let (mut process, ours) = both_ends();
        Counts::new(process.words()).write((ring::ROOM - 3) as u32);
        let first = ours.told((ring::ROOM - 3) as u32).unwrap().unwrap();
        assert_eq!(first.part(10, usize::MAX).map(|part| part.length()).sum::<usize>(), ring::ROOM - 13);
        first.take();
        // It goes on at the beginning.
        let written = (ring::ROOM + 4) as u32;
        process.write(ring::SIZE - 3, b"con");
        process.write(ring::START, b"tent");
        Counts::new(process.words()).write(written);
        let second = ours.told(7).unwrap().unwrap();
        assert_eq!(*second.copy(0).unwrap(), b"content");
        assert_eq!(*second.copy(2).unwrap(), b"ntent");
        assert_eq!(*second.copy(8).unwrap(), b"");
        let lengths = |at, most| second.part(at, most).map(|part| part.length()).collect::<Vec<_>>();
        assert_eq!([lengths(0, 7), lengths(1, 3), lengths(5, 9)], [vec![3, 4], vec![2, 1], vec![2, 0]]);
        let counts = Counts::new(process.words());
        assert_eq!(counts.room(written), ring::ROOM - 7);
        second.take();
        assert_eq!(counts.room(written), ring::ROOM);
        ours.begin();
        assert_eq!(counts.room(0), ring::ROOM);
    }

    #[test]
    fn no_more_lies_there_than_fits_and_no_less_than_is_told() {
        let (process, ours) = both_ends();
        let all = ring::ROOM as u32;
        for (written, told, length) in [
            (1, 1, Ok(1)),
            (all, 1, Ok(all)),
            (all, all, Ok(all)),
            // Frames are believed; what has been counted is more, or nothing.
            (4, 5, Ok(5)),
            (all + 1, 1, Ok(1)),
            (0, 0, Err(Violation::Filled)),
            (all, all + 1, Err(Violation::Filled)),
            (all, u32::MAX, Err(Violation::Filled)),
        ] {
            ours.begin();
            Counts::new(process.words()).write(written);
            let outcome = ours.told(told).map(|content| content.map_or(0, |content| content.length as u32));
            assert_eq!(outcome, length, "{told} of {written}");
        }
        assert_eq!(Ring::new(shared_memory::create(c"test", ring::ROOM).unwrap()).err(), Some(Violation::Ring));
    }

    #[test]
    fn what_has_been_found_is_told_of_later() {
        let (process, ours) = both_ends();
        let counts = Counts::new(process.words());
        let length = |content: Option<Filled<'_>>| {
            content.map(|content| {
                content.take();
                content.length()
            })
        };
        let told = |bytes| length(ours.told(bytes).unwrap());
        ours.begin();
        assert!(counts.write(10));
        assert_eq!(length(ours.find(false)), None, "only who has been told of some looks for more");
        assert_eq!(told(10), Some(10));
        assert!(!counts.write(30));
        assert_eq!(length(ours.find(false)), Some(20));
        assert_eq!((length(ours.find(false)), ours.ahead()), (None, 20));
        assert!(counts.write(35) && !counts.write(40));
        assert_eq!((told(25), ours.ahead()), (Some(10), 5), "with what has come since");
        assert!(!counts.write(45));
        assert_eq!(length(ours.find(true)), Some(5));
        assert!(counts.write(46));
        assert_eq!((told(11), ours.ahead()), (Some(1), 0));
        assert!(!counts.write(48));
        assert_eq!((length(ours.find(false)), told(1), ours.ahead()), (Some(2), None, 1));
        // What cannot be is nothing: somebody else has written there.
        for written in [45, 49 + ring::ROOM as u32] {
            counts.write(written);
            assert_eq!(length(ours.find(false)), None, "{written}");
        }
    }

    #[test]
    fn who_writes_for_ever_has_to_tell_now_and_then() {
        let (process, ours) = both_ends();
        ours.begin();
        let mut written = 0;
        let mut write = || {
            written += ring::ROOM as u32;
            Counts::new(process.words()).write(written)
        };
        assert!(write());
        ours.told(4).unwrap().unwrap().take();
        for _ in 0..2 {
            assert!(!write());
            ours.find(false).unwrap().take();
        }
        assert!(!write());
        ours.find(false).unwrap().take();
        assert!(write() && ours.find(false).is_none(), "that was the last look");
    }

    #[test]
    fn once_other_content_has_come_only_frames_tell() {
        let (process, ours) = both_ends();
        let counts = Counts::new(process.words());
        ours.begin();
        ours.mix().unwrap();
        counts.write(10);
        ours.told(4).unwrap().unwrap().take();
        assert_eq!(ours.ahead(), 6, "other content came before all of this");
        assert_eq!(ours.mix(), Err(Violation::Filled), "it has to come behind what has been found");
        ours.told(6).unwrap();
        ours.mix().unwrap();
        counts.write(20);
        assert!(ours.find(false).is_none());
        assert_eq!(ours.told(3).unwrap().map(|content| content.length()), Some(3));
    }
}
