//! Our place in httpd's configuration vectors and log levels.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

/// `APLOG_NO_MODULE`: what httpd has in the module record before it assigns an index.
const NONE: i32 = -1;

static INDEX: AtomicI32 = AtomicI32::new(NONE);

/// Remembers the index that httpd has assigned to the module.
pub fn set(index: i32) {
    INDEX.store(index, Relaxed);
}

/// The module's index.
pub(super) fn get() -> i32 {
    INDEX.load(Relaxed)
}
