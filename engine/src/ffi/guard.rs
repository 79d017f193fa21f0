//! The way in for every function that CPython calls: a panic becomes a `SystemError` and one log record, never an
//! unwind into C.

use std::ffi::c_int;
use std::ptr::null_mut;

use pyo3::exceptions::PySystemError;
use pyo3::{PyErr, PyResult, Python, ffi};

use wsgi_unix::panics;

use super::attach;

pub(crate) use panics::catch;

/// Guards a function that returns an object: null and an exception on failure.
pub(crate) fn object(name: &str, body: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>) -> *mut ffi::PyObject {
    enter(name, body).unwrap_or(null_mut())
}

/// Guards a function that returns 0, or -1 and an exception.
pub(crate) fn status(name: &str, body: impl FnOnce(Python<'_>) -> PyResult<()>) -> c_int {
    enter(name, body).map_or(-1, |()| 0)
}

/// Guards a function that returns nothing and cannot fail.
pub(crate) fn silent(name: &str, body: impl FnOnce(Python<'_>)) {
    enter(name, |py| {
        body(py);
        Ok(())
    });
}

fn enter<R>(name: &str, body: impl FnOnce(Python<'_>) -> PyResult<R>) -> Option<R> {
    let run = |py: Python<'_>| {
        let outcome = catch(name, || attach::here(py, || body(py)))
            .unwrap_or_else(|| Err(PySystemError::new_err(format!("internal error in {name}"))));
        outcome.map_err(|error: PyErr| error.restore(py)).ok()
    };
    // SAFETY: CPython calls its extensions attached, also while it shuts down, where `Python::attach` would refuse.
    unsafe { Python::attach_unchecked(run) }
}
