//! The callbacks that applications have subscribed to events with.

use pyo3::Python;
use pyo3::types::PyList;

use crate::ffi::owned::Owned;

/// The lists of callbacks of one interpreter; applications may change them.
pub(crate) struct Callbacks {
    /// The list `event_callbacks`.
    pub(crate) events: Owned<PyList>,
    /// The list `shutdown_callbacks`.
    pub(crate) shutdown: Owned<PyList>,
    /// The list `signal_callbacks`.
    pub(crate) signals: Owned<PyList>,
}

impl Callbacks {
    /// Makes the empty lists of an interpreter.
    pub(crate) fn new(py: Python<'_>) -> Self {
        let list = || Owned::new(PyList::empty(py));
        Self { events: list(), shutdown: list(), signals: list() }
    }
}
