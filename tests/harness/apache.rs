//! The Apache that the tests boot.

use apxs::Apache;
use std::sync::OnceLock;

/// The installation of this machine.
pub(crate) fn apache() -> &'static Apache {
    static APACHE: OnceLock<Apache> = OnceLock::new();
    APACHE.get_or_init(|| Apache::find_runtime().unwrap_or_else(|e| panic!("{e}")))
}
