//! How many WebSockets of a child may be the pump's: Apache counts them among the connections that a child has, and
//! accepts no more when these are too many. Those that have ended, and are not destroyed for another second, are few.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A WebSocket that is the pump's, or may become so, while this lives.
pub struct Place(());

/// Takes a place, of so many; `None` if all are taken.
pub fn take(limit: u32) -> Option<Place> {
    let more = |taken| (taken < limit).then_some(taken + 1);
    TAKEN.fetch_update(Relaxed, Relaxed, more).ok().map(|_| Place(()))
}

impl Drop for Place {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Relaxed);
    }
}
