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
        Ok(Self { file: file.into(), memory, taken: Cell::new(0) })
    }

    /// Begins another exchange, of which nothing is there yet.
    pub fn begin(&self) {
        self.taken.set(0);
        Counts::new(self.memory.words()).take(0);
    }

    /// The next content, which is said to be so long.
    ///
    /// # Errors
    /// [`Violation::Filled`]
    pub fn filled(&self, length: u32) -> Result<Filled<'_>, Violation> {
        let length = length as usize;
        if (1..=ring::ROOM).contains(&length) { Ok(Filled { ring: self, length }) } else { Err(Violation::Filled) }
    }
}

impl<'r> Filled<'r> {
    /// How many bytes there are.
    pub fn length(&self) -> usize {
        self.length
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
        let counts = Counts::new(self.ring.memory.words());
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

    #[test]
    fn content_is_read_where_it_lies_and_makes_room_when_it_is_taken() {
        let file = shared_memory::create(c"test", ring::SIZE).unwrap();
        let mut process = Mapped::new(&file, ring::SIZE).unwrap();
        let ours = Ring::new(file).unwrap();
        let first = ours.filled((ring::ROOM - 3) as u32).unwrap();
        assert_eq!(first.part(10, usize::MAX).map(|part| part.length()).sum::<usize>(), ring::ROOM - 13);
        first.take();
        // It goes on at the beginning.
        process.write(ring::SIZE - 3, b"con");
        process.write(ring::START, b"tent");
        let second = ours.filled(7).unwrap();
        assert_eq!(*second.copy(0).unwrap(), b"content");
        assert_eq!(*second.copy(2).unwrap(), b"ntent");
        assert_eq!(*second.copy(8).unwrap(), b"");
        let lengths = |at, most| second.part(at, most).map(|part| part.length()).collect::<Vec<_>>();
        assert_eq!([lengths(0, 7), lengths(1, 3), lengths(5, 9)], [vec![3, 4], vec![2, 1], vec![2, 0]]);
        let counts = Counts::new(process.words());
        let written = (ring::ROOM + 4) as u32;
        assert_eq!(counts.room(written), ring::ROOM - 7);
        second.take();
        assert_eq!(counts.room(written), ring::ROOM);
        ours.begin();
        assert_eq!(counts.room(0), ring::ROOM);
    }

    #[test]
    fn no_more_lies_there_than_fits_and_no_less_than_a_byte() {
        let ours = Ring::new(shared_memory::create(c"test", ring::SIZE).unwrap()).unwrap();
        assert!(ours.filled(1).is_ok() && ours.filled(ring::ROOM as u32).is_ok());
        for length in [0, ring::ROOM as u32 + 1, u32::MAX] {
            assert_eq!(ours.filled(length).err(), Some(Violation::Filled), "{length}");
        }
        assert_eq!(Ring::new(shared_memory::create(c"test", ring::ROOM).unwrap()).err(), Some(Violation::Ring));
    }
}
