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

/// In a child that begins: the configuration in force stays so, as long as the child lives.
pub fn settle() {
    if let Some(runtime) = current() {
        OF_CHILD.get_or_init(|| runtime);
    }
}

/// The configuration of this child's requests; `None` if there was none when it began.
pub fn of_child() -> Option<&'static Runtime> {
    OF_CHILD.get().map(Arc::as_ref)
}
