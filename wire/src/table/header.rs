//! The part of the table that concerns the whole server.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU32, AtomicU64};

use super::children::Children;
use super::layout::PAGE;
use super::places::PlacesOfConfigurations;

/// The header of the table, at the beginning of its first page.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Header {
    /// The first slot that has never been used: the supervisor takes the lowest free one, so that a search touches few
    /// pages.
    pub used: AtomicU32,
    /// The first record of a group that has never been used.
    pub groups: AtomicU32,
    /// The process id of the supervisor; 0 before it has begun.
    pub supervisor: AtomicU32,
    /// The configuration in force, counted from 1.
    pub generation: AtomicU32,
    /// When this server was started, seconds since the epoch.
    pub started: AtomicU64,
    /// How many Apache children there are, as the parent knows.
    children: AtomicU32,
    /// How many Apache children have begun to count here.
    begun: AtomicU32,
    /// How many of these have ended in order, and so given back what they had counted.
    settled: AtomicU32,
    /// The number of wishes of daemons for Apache's scoreboard ([`crate::scoreboard`]), which the supervisor passes on.
    /// Apache children wait for it to change (a futex).
    pub wanted: AtomicU32,
    /// How many WebSockets each child has that hold none of its threads.
    pub websockets: Children,
    /// The places of Apache's workers that have a request of any group in hand.
    pub workers: PlacesOfConfigurations,
}

impl Header {
    /// Notes in the parent that there is one more Apache child.
    pub fn child_started(&self) {
        self.children.fetch_add(1, Relaxed);
    }

    /// Notes in an Apache child that it begins.
    pub fn child_begins(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    /// Notes in an Apache child that it ends in order: no request of it waits or is in flight.
    pub fn child_settles(&self) {
        self.settled.fetch_add(1, Relaxed);
    }

    /// Notes in the parent that an Apache child has ended. Returns whether any child so far has ended without giving
    /// back what it had counted, which then stays counted for ever. While a child has not begun yet, the next end
    /// tells.
    pub fn child_ended(&self) -> bool {
        // A child from before there was a table has not been counted.
        let before = self.children.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
        let children = before.map_or(0, |n| n - 1);
        let begun = self.begun.load(Relaxed);
        let unsettled = begun.wrapping_sub(self.settled.load(Relaxed)) > children;
        if unsettled {
            self.settled.store(begun.wrapping_sub(children), Relaxed);
        }
        unsettled
    }
}

const _: () = assert!(size_of::<Header>() <= PAGE);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_ends_without_settling_is_noticed_once() {
        let header = Header::default();
        let start = |begins: bool| {
            header.child_started();
            if begins {
                header.child_begins();
            }
        };
        (0..3).for_each(|_| start(true));
        header.child_settles();
        assert!(!header.child_ended());
        assert!(header.child_ended(), "one of two has died");
        header.child_settles();
        assert!(!header.child_ended());
        // Killed before it could count anything.
        start(false);
        assert!(!header.child_ended());
        // One dies while another one has not begun yet: the next end tells.
        start(true);
        start(false);
        assert!(!header.child_ended());
        header.child_begins();
        header.child_settles();
        assert!(header.child_ended());
    }
}
