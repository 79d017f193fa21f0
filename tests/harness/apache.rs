//! The Apache that the tests boot.

use apxs::Apache;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Apache's module of this name, where this machine has it.
#[must_use]
pub fn module(name: &str) -> Option<PathBuf> {
    apache().module(name)
}

/// The installation of this machine.
pub(crate) fn apache() -> &'static Apache {
    static APACHE: OnceLock<Apache> = OnceLock::new();
    APACHE.get_or_init(|| Apache::find_runtime().unwrap_or_else(|e| panic!("{e}")))
}
