//! Script reloading: how requests for a changed script are treated until a successor process has loaded the new
//! version.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// The version of a script whose module itself says that it must be loaded anew.
pub(crate) const REQUIRED: i64 = i64::MIN;

/// The version of a script whose file cannot be looked at.
pub(crate) const MISSING: i64 = -1;

/// The value that is no version.
const NONE: i64 = i64::MAX;

/// The newest version of a script that the process has asked a successor for.
pub(crate) struct SuccessorRequest(AtomicI64);

impl Default for SuccessorRequest {
    fn default() -> Self {
        Self(AtomicI64::new(NONE))
    }
}

/// Whether the process turns requests away that need new code.
#[derive(Default)]
pub(crate) struct Hold(AtomicBool);

impl SuccessorRequest {
    /// Returns whether this version (modification time) is new, because no request has come for it before, and notes
    /// that one has.
    pub(crate) fn is_new(&self, version: i64) -> bool {
        self.0.swap(version, Ordering::AcqRel) != version
    }
}

impl Hold {
    /// Whether requests that need new code are turned away.
    pub(crate) fn is_holding(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Turns such requests away from now on.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Takes such requests again.
    pub(crate) fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}
