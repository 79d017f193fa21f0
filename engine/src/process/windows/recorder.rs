//! The flight recorder, which a process without a supervisor has not: who would read it?

use pyo3::{Bound, PyAny, PyResult, Python};

/// The flight recorder, in which nothing is noted.
#[derive(Default)]
pub(crate) struct Recorder;

impl Recorder {
    /// Does something that nobody notes.
    pub(crate) fn during<R>(&self, _what: &str, body: impl FnOnce() -> R) -> R {
        body()
    }

    /// A function that writes stacks into the report; there is no report.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn dump_function<'py>(&self, _py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(None)
    }
}
