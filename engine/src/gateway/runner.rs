//! What the gateway needs of the thread that runs a request.

use pyo3::types::PyDict;
use pyo3::{Bound, PyResult};
use wsgi_wire::recorder::Task;

/// The thread that runs a request: a worker thread of a daemon process, or a thread of Apache.
pub(crate) trait Runner {
    /// The number of the thread, counted from 1.
    fn number(&self) -> u32;
    /// Notes that the thread begins a request.
    fn begins(&self, _task: &Task<'_>) {}
    /// Notes that the script of the current request has been loaded. `ignore_activity`: the request does not keep the
    /// process from being idle.
    fn loaded(&self, ignore_activity: bool);
    /// Adds entries to an environ that exist on this kind of thread only.
    ///
    /// # Errors
    /// What CPython raises.
    fn furnish(&self, _environ: &Bound<'_, PyDict>) -> PyResult<()> {
        Ok(())
    }
}
