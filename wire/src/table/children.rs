//! How many WebSockets each Apache child has that hold none of its threads: for the limit on all of them, and for the
//! record about a child that has died.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How many children are counted; a server with more has the others' left out.
const CHILDREN: usize = 256;

/// The counts of children. An entry has the number of the process in its upper half; all zero is free.
#[derive(Debug)]
#[repr(transparent)]
pub struct Children([AtomicU64; CHILDREN]);

/// The count of a child.
#[derive(Debug, Clone, Copy)]
pub struct ChildCount<'t>(&'t AtomicU64);

const PID: u32 = 32;

impl Default for Children {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Children {
    /// The count of the child with this pid, which calls this once; `None` if there is no room.
    pub fn begin(&self, pid: u32) -> Option<ChildCount<'_>> {
        let mine = u64::from(pid) << PID;
        self.0.iter().find(|entry| entry.compare_exchange(0, mine, Relaxed, Relaxed).is_ok()).map(ChildCount)
    }

    /// How many all children have together.
    pub fn total(&self) -> u32 {
        self.0.iter().map(|entry| entry.load(Relaxed) as u32).fold(0, u32::saturating_add)
    }

    /// Forgets a child that has ended. Returns how many it had.
    pub fn end(&self, pid: u32) -> u32 {
        let own = self.0.iter().find(|entry| (entry.load(Relaxed) >> PID) as u32 == pid && pid != 0);
        own.map_or(0, |entry| entry.swap(0, Relaxed) as u32)
    }
}

impl ChildCount<'_> {
    /// Counts one more.
    pub fn add(self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Counts one less.
    pub fn subtract(self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_has_died_leaves_its_count_once() {
        let children = Children::default();
        let (first, second) = (children.begin(7).unwrap(), children.begin(8).unwrap());
        [first, first, second].into_iter().for_each(ChildCount::add);
        first.subtract();
        assert_eq!(children.total(), 2);
        assert_eq!([7, 7, 8, 9, 0].map(|pid| children.end(pid)), [1, 0, 1, 0, 0]);
        assert!((0..CHILDREN).all(|_| children.begin(5).is_some()) && children.begin(6).is_none());
    }
}
