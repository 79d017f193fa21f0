//! The beginning of a request body that was read before somebody asked for it, in memory of which an Apache child uses
//! a bounded amount.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use wsgi_unix::kept_memory::{self, Kept};
use wsgi_wire::limits;

/// How many bytes all requests of this Apache child have read ahead.
static SPOOLED: AtomicUsize = AtomicUsize::new(0);

/// The beginning of a body, in memory that is counted, and handed out from its front.
#[derive(Debug, Default)]
pub struct Spool {
    pub(super) bytes: Kept,
    at: usize,
    counted: usize,
}

impl Spool {
    /// How many bytes are still to be given.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Moves up to `max` bytes to the end of `out`.
    pub fn read(&mut self, max: usize, out: &mut Vec<u8>) {
        if self.at == 0 && out.is_empty() && self.bytes.len() <= max {
            std::mem::swap(&mut *self.bytes, out);
        } else {
            let end = self.at + max.min(self.left());
            out.extend_from_slice(&self.bytes[self.at..end]);
            self.at = end;
        }
        if self.left() == 0 {
            *self = Self::default();
        }
    }

    /// Counts the bytes that have come. Returns whether more may be read ahead of this body, and of all.
    pub(super) fn count(&mut self) -> bool {
        let new = self.bytes.len() - self.counted;
        self.counted += new;
        may_grow(self.bytes.len(), SPOOLED.fetch_add(new, Relaxed) + new)
    }
}

impl Spool {
    /// Makes room for a body that is announced to be this long: as much as is read ahead.
    pub(super) fn announced(length: u64) -> Self {
        let mut bytes = Kept::take();
        bytes.reserve(usize::try_from(length).unwrap_or(usize::MAX).min(kept_memory::MAX));
        Self { bytes, at: 0, counted: 0 }
    }
}

/// Whether more may be read ahead where this much of the body, and of all bodies, is here.
fn may_grow(own: usize, all: usize) -> bool {
    own <= limits::SPOOL && all <= limits::SPOOLED
}

impl From<Vec<u8>> for Spool {
    fn from(bytes: Vec<u8>) -> Self {
        let mut spool = Self { bytes: bytes.into(), at: 0, counted: 0 };
        spool.count();
        spool
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Most requests have no body: the number that all threads share is left alone.
        if self.counted > 0 {
            SPOOLED.fetch_sub(self.counted, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_gives_its_bytes_in_order_and_is_counted_as_long_as_it_has_some() {
        let mut spool = Spool::default();
        spool.bytes.extend_from_slice(b"abcdef");
        assert!(spool.count());
        let before = SPOOLED.load(Relaxed);
        let mut out = b"x".to_vec();
        spool.read(2, &mut out);
        spool.read(3, &mut out);
        assert_eq!((out.as_slice(), spool.left()), (&b"xabcde"[..], 1));
        spool.read(3, &mut out);
        assert_eq!((out.as_slice(), SPOOLED.load(Relaxed)), (&b"xabcdef"[..], before - 6));
        let (mut whole, mut out) = (Spool::from(b"abc".to_vec()), Vec::new());
        whole.read(3, &mut out);
        assert_eq!((out.as_slice(), whole.left()), (&b"abc"[..], 0));
    }

    #[test]
    fn there_is_a_bound_for_all_bodies() {
        assert!(may_grow(1, limits::SPOOLED) && !may_grow(1, limits::SPOOLED + 1));
    }

    #[test]
    fn there_is_a_bound_for_one_body() {
        let mut spool = Spool::default();
        spool.bytes.resize(limits::SPOOL, 0);
        assert!(spool.count(), "it may end here");
        spool.bytes.push(0);
        assert!(!spool.count());
    }
}
