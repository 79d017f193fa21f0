//! The configuration in force.
#![forbid(unsafe_code)]

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::runtime::Runtime;

static CURRENT: RwLock<Option<Arc<Runtime>>> = RwLock::new(None);

/// That of this child. All its threads read it for each request: to count who has it would cost more than to look.
static OF_CHILD: OnceLock<Arc<Runtime>> = OnceLock::new();

/// The configuration in force; `None` before the first one has been accepted.
pub fn current() -> Option<Arc<Runtime>> {
    CURRENT.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Puts a configuration into force, or none.
pub fn set_current(runtime: Option<Arc<Runtime>>) {
    *CURRENT.write().unwrap_or_else(PoisonError::into_inner) = runtime;
}

/// The configuration of this child's requests, as the first of them has found it: it stays in force as long as the
/// child lives. Not for the parent, which gets a new one at each restart. `None` if there is none.
pub fn of_child() -> Option<&'static Runtime> {
    let found = || {
        let runtime = current()?;
        Some(OF_CHILD.get_or_init(|| runtime))
    };
    OF_CHILD.get().or_else(found).map(Arc::as_ref)
}
