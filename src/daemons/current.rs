//! The configuration in force.
#![forbid(unsafe_code)]

use std::sync::{Arc, PoisonError, RwLock};

use super::runtime::Runtime;

static CURRENT: RwLock<Option<Arc<Runtime>>> = RwLock::new(None);

/// The configuration in force; `None` before the first one has been accepted.
pub fn current() -> Option<Arc<Runtime>> {
    CURRENT.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Puts a configuration into force, or none.
pub fn set_current(runtime: Option<Arc<Runtime>>) {
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = runtime;
}
