//! Memory for large pieces of bodies. A fresh page costs more than what is copied into it, because the kernel has to
//! clear it, and what two or three bodies of a request take at the same time malloc gives back to the kernel after each
//! request. So what one body has used serves for the next ones, of whatever thread, the latest first, because the
//! processor's cache has that.
#![forbid(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// The smallest piece of memory that is kept, bytes: malloc itself keeps smaller ones.
pub const MIN: usize = 64 << 10;

/// The largest piece that is kept, bytes: an ordinary upload, and what may be read beyond it before its end is known.
pub const MAX: usize = (1 << 20) + (64 << 10);

/// How many pieces a process keeps. Few uploads are underway in one process at the same time; more take what memory
/// they need.
const PIECES: usize = 8;

/// The pieces that are not in use.
static FREE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Bytes whose memory is kept when they are dropped.
#[derive(Debug, Default)]
pub struct Kept(Vec<u8>);

impl Kept {
    /// Makes an empty buffer, in memory that has been kept if there is some.
    pub fn take() -> Self {
        let mut bytes = Self::used();
        bytes.clear();
        bytes
    }

    /// Makes a buffer of this length, for a caller that writes all bytes before any is read: they are what others have
    /// left, or zeros.
    pub fn to_be_filled(length: usize) -> Self {
        let mut bytes = Self::used();
        bytes.resize(length, 0);
        bytes
    }

    fn used() -> Self {
        Self(with_free(Vec::pop).flatten().unwrap_or_default())
    }

    /// Returns the bytes alone, whose memory is kept only if they come back.
    pub fn into_inner(mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

impl From<Vec<u8>> for Kept {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Kept {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if (MIN..=MAX).contains(&self.0.capacity()) {
            with_free(|free| {
                if free.len() < PIECES {
                    free.push(std::mem::take(&mut self.0));
                }
            });
        }
    }
}

/// Changes the free pieces, unless the lock is taken: nobody waits for it, neither a thread that comes when another one
/// is here, nor one of a process that was forked at that moment.
fn with_free<R>(change: impl FnOnce(&mut Vec<Vec<u8>>) -> R) -> Option<R> {
    FREE.try_lock().ok().map(|mut free| change(&mut free))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_there_is_a_bound_for_what_is_kept() {
        assert_eq!(Kept::take().capacity(), 0);
        drop(Kept::from(vec![7; MIN]));
        let again = Kept::take();
        assert!(again.is_empty() && again.capacity() == MIN, "what somebody has sent is nobody else's");
        assert_eq!(Kept::take().capacity(), 0, "it is in use");
        drop(again);
        drop(Kept::from(vec![7; MIN]));
        assert_eq!(*Kept::to_be_filled(3), [7; 3], "nothing is written that is written over");
        assert_eq!((Kept::to_be_filled(MIN + 1).len(), Kept::to_be_filled(0).len()), (MIN + 1, 0));
        drop([MIN - 1, MAX + 1].map(|size| Kept::from(Vec::with_capacity(size))));
        drop(vec![0; 2 * PIECES].into_iter().map(|_| Kept::from(vec![7; MAX])).collect::<Vec<_>>());
        let free = FREE.lock().unwrap();
        assert_eq!(free.len(), PIECES);
        assert!(free.iter().all(|bytes| (MIN..=MAX).contains(&bytes.capacity())));
    }
}
