//! A daemon process, which there is none of where Apache cannot hand it sockets.

use pyo3::exceptions::PyNotImplementedError;
use pyo3::{PyResult, Python};

/// That no records go to a supervisor.
pub(crate) struct NoLog;

/// Makes no records go anywhere: there is no supervisor.
pub(crate) fn begin_log() -> NoLog {
    NoLog
}

/// Refuses to serve as a daemon process.
///
/// # Errors
/// `NotImplementedError`, always.
pub(crate) fn run(_py: Python<'_>, _log: NoLog) -> PyResult<()> {
    Err(PyNotImplementedError::new_err(
        "mod_wsgi has no daemon processes on Windows: Apache's own process serves applications (embedded mode)",
    ))
}
