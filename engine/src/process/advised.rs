//! The scripts that the log has had advice for: each gets it once.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// The scripts that the log has had advice for.
#[derive(Default)]
pub(crate) struct AdvisedScripts(Mutex<HashSet<Vec<u8>>>);

impl AdvisedScripts {
    /// Returns whether the log has had no advice for this script yet, and notes that it has now.
    pub(crate) fn first(&self, script: &[u8]) -> bool {
        // Locked only for a moment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(script.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_for_each_script() {
        let advised = AdvisedScripts::default();
        assert_eq!([advised.first(b"/a"), advised.first(b"/b"), advised.first(b"/a")], [true, true, false]);
    }
}
