//! What becomes of requests whose script has changed since it was loaded, until another process has the new code.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use wsgi_wire::control::Reason;

use crate::process::Process;

/// Stands for the version of a script whose module says itself that it must be loaded anew.
pub(crate) const REQUIRED: i64 = i64::MIN;

/// Stands for the version of a script that cannot be looked at.
pub(crate) const MISSING: i64 = -1;

/// No version at all.
const NONE: i64 = i64::MAX;

/// The newest version of a script that the process has asked a successor for.
pub(crate) struct Asked(AtomicI64);

impl Default for Asked {
    fn default() -> Self {
        Self(AtomicI64::new(NONE))
    }
}

/// Whether the process holds: takes no requests that need new code.
#[derive(Default)]
pub(crate) struct Holding(AtomicBool);

impl Asked {
    /// A request has come for a version (modification time) that this process does not have: asks for a successor, once for each version. Whether
    /// the request may be answered by the code that is loaded.
    pub(crate) fn may_serve(&self, process: &Process, version: i64) -> bool {
        if self.0.swap(version, Ordering::AcqRel) != version {
            if !process.settings.rolling_reload {
                process.holding.0.store(true, Ordering::Release);
                // Before the request goes back, so that no child brings it again at once.
                process.page.hold();
            }
            process.lifecycle.retire(Reason::ScriptReload);
        }
        !process.holding.is_holding()
    }
}

impl Holding {
    /// Whether requests that need new code are turned away.
    pub(crate) fn is_holding(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// Nobody has the new code: what is loaded serves.
    pub(crate) fn end(&self, process: &Process) {
        self.0.store(false, Ordering::Release);
        process.page.resume();
    }
}
