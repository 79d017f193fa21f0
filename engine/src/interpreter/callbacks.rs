//! The callbacks that applications have subscribed to events with.

use pyo3::Python;
use pyo3::types::PyList;

use crate::ffi::owned::Owned;

/// The lists of callbacks of one interpreter; applications may change them.
pub(crate) struct Callbacks {
    /// `event_callbacks`
    pub(crate) events: Owned<PyList>,
    /// `shutdown_callbacks`
    pub(crate) shutdown: Owned<PyList>,
    /// `signal_callbacks`
    pub(crate) signals: Owned<PyList>,
}

impl Callbacks {
    /// Callbacks of an interpreter in which nobody has subscribed to anything.
    pub(crate) fn new(py: Python<'_>) -> Self {
        let list = || Owned::new(PyList::empty(py));
        Self { events: list(), shutdown: list(), signals: list() }
    }
}
