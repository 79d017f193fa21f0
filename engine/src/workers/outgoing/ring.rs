//! This process's end of the memory that content goes through ([`wsgi_wire::ring`]). A socket would have it copied once
//! more, and both ends woken more often.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::thread::futex;
use wsgi_unix::fork::mapped::Mapped;
use wsgi_unix::shared_memory;
use wsgi_unix::timespec::timespec;
use wsgi_wire::ring::{self, Counts};

/// How many connections have such memory at most: it stays with them. Those that were used last are used next, and
/// there are rarely more at work than threads.
const RINGS: usize = 16;

/// For how long a child is relied on to find content. One that has died does not: what it is told of shows that.
const RELIED_ON: Duration = Duration::from_millis(if cfg!(test) { 30_000 } else { 100 });

/// How many there are.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// The memory of one connection.
pub(super) struct Ring {
    memory: Mapped,
    /// Where it is counted.
    made: &'static AtomicUsize,
    /// How much of it has been written in this exchange, bytes; wraps.
    written: u32,
    /// How much of that the child has not been told of, bytes: it finds that by itself.
    untold: u32,
    /// When it was last told of any.
    told: Instant,
    /// Whether any content of this exchange has gone this way.
    used: bool,
    /// Whether other content of this exchange has followed some of this, so that only frames tell the order.
    mixed: bool,
}

impl Ring {
    /// Makes the memory, and the descriptor for the child; `None` if there is enough of it.
    pub(super) fn make() -> Option<(Self, OwnedFd)> {
        Self::counted(&MADE)
    }

    fn counted(made: &'static AtomicUsize) -> Option<(Self, OwnedFd)> {
        let counted = made.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < RINGS).then_some(n + 1));
        counted.ok()?;
        let mapped = shared_memory::create(c"wsgi-response", ring::SIZE)
            .and_then(|file| Ok((Mapped::new(&file, ring::SIZE)?, file)));
        match mapped {
            Ok((memory, file)) => {
                let (written, untold, told) = (0, 0, Instant::now());
                Some((Self { memory, made, written, untold, told, used: false, mixed: false }, file))
            }
            Err(_) => {
                made.fetch_sub(1, Ordering::Relaxed);
                None
            }
        }
    }

    fn counts(&self) -> Counts<'_> {
        Counts::new(self.memory.words())
    }

    /// Begins another exchange: the child has done with all that there was.
    pub(super) fn begin(&mut self) {
        (self.written, self.untold, self.used, self.mixed) = (0, 0, false, false);
    }

    /// Whether content of this exchange goes this way, and no other: the next one does so too, however short.
    pub(super) fn is_in_use(&self) -> bool {
        self.used && !self.mixed
    }

    /// Notes that content goes another way.
    pub(super) fn mix(&mut self) {
        self.mixed |= self.used;
    }

    /// How many bytes it takes at once.
    pub(super) fn room(&self) -> usize {
        self.counts().room(self.written)
    }

    /// Writes content for which there is room. Returns whether the child has to be told of it.
    pub(super) fn write(&mut self, content: &[u8]) -> bool {
        let [first, second] = ring::stretches(self.written, content.len());
        let (one, other) = content.split_at(first.len());
        self.memory.write(first.start, one);
        self.memory.write(second.start, other);
        self.written = self.written.wrapping_add(content.len() as u32);
        self.untold += content.len() as u32;
        self.used = true;
        // Nothing is counted any more once other content has followed: the child may not have got to that yet.
        self.mixed
            || self.counts().write(self.written)
            || self.untold as usize >= ring::ROOM
            || self.told.elapsed() >= RELIED_ON
    }

    /// Takes how much the child has to be told of with the next frame, bytes.
    pub(super) fn take_untold(&mut self) -> u32 {
        if self.untold > 0 {
            self.told = Instant::now();
        }
        std::mem::take(&mut self.untold)
    }

    /// Waits until there is room worth the waiting, at the most for `wait_left`, from which the time that this took is
    /// subtracted.
    pub(super) fn wait_for_room(&self, wait_left: &mut Duration) {
        let (counts, start) = (self.counts(), Instant::now());
        while let Some(seen) = counts.wait(self.written) {
            let left = wait_left.saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            // Whatever ends it, the count tells.
            let _ = futex::wait(counts.taken(), futex::Flags::empty(), seen, Some(&timespec(left)));
        }
        counts.waited();
        *wait_left = wait_left.saturating_sub(start.elapsed());
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.made.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::pread;

    use super::*;

    #[test]
    fn content_goes_round_and_a_child_that_takes_nothing_is_waited_for_once() {
        let (mut ring, file) = Ring::make().unwrap();
        let child = Mapped::new(&file, ring::SIZE).unwrap();
        let counts = Counts::new(child.words());
        let (mut wait_left, content) = (Duration::from_millis(30), vec![b'x'; ring::ROOM - 3]);
        ring.write(&content);
        assert_eq!(ring.room(), 3);
        ring.wait_for_room(&mut wait_left);
        assert!(wait_left.is_zero() && ring.room() == 3 && !counts.take(0), "nobody waits any more");
        counts.take(content.len() as u32);
        ring.write(b"content");
        let mut read = [0; 3];
        assert_eq!((pread(&file, &mut read, (ring::SIZE - 3) as u64), &read), (Ok(3), b"con"));
        assert_eq!((pread(&file, &mut read, ring::START as u64), &read), (Ok(3), b"ten"));
        counts.take(0);
        ring.begin();
        assert_eq!(ring.room(), ring::ROOM);
    }

    #[test]
    fn who_waits_goes_on_as_soon_as_there_is_room() {
        let (mut ring, file) = Ring::make().unwrap();
        let child = Mapped::new(&file, ring::SIZE).unwrap();
        ring.write(&vec![b'x'; ring::ROOM]);
        let taker = std::thread::spawn(move || {
            let counts = Counts::new(child.words());
            while child.words()[1].load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            assert!(!counts.take(1) && counts.take(ring::ROOM as u32));
            let _ = futex::wake(counts.taken(), futex::Flags::empty(), 1);
        });
        let mut wait_left = Duration::from_secs(50);
        ring.wait_for_room(&mut wait_left);
        assert!(ring.room() == ring::ROOM && !wait_left.is_zero());
        taker.join().unwrap();
    }

    #[test]
    fn there_is_a_bound_for_what_all_connections_have() {
        static OF_THIS_TEST: AtomicUsize = AtomicUsize::new(0);
        let make = || Ring::counted(&OF_THIS_TEST);
        let made: Vec<_> = std::iter::from_fn(make).take(RINGS + 1).collect();
        assert_eq!(made.len(), RINGS);
        drop(made);
        assert!(make().is_some());
    }

    #[test]
    fn a_child_is_not_relied_on_for_ever() {
        let (mut ring, _file) = Ring::make().unwrap();
        assert!(ring.write(b"told") && ring.take_untold() == 4);
        assert!(!ring.write(b"found"));
        ring.told = ring.told.checked_sub(RELIED_ON).unwrap();
        assert!(ring.write(b"told") && ring.take_untold() == 9);
        assert!(!ring.write(b"found"));
    }
}
