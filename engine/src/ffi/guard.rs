//! The way in for every function that CPython calls: a panic becomes a `SystemError` and one log record, never an
//! unwind into C.

use std::ffi::c_int;
use std::fmt::Display;
use std::ptr::null_mut;

use pyo3::exceptions::PySystemError;
use pyo3::{PyErr, PyResult, Python, ffi};

use wsgi_unix::panics;

use super::attach;

pub(crate) use panics::{catch, repeat};

/// Guards a function that returns an object: null and an exception on failure.
pub(crate) fn object(
    name: impl Display + Copy,
    body: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>,
) -> *mut ffi::PyObject {
    enter(name, body, |_| ()).unwrap_or(null_mut())
}

/// Guards a method. After a panic `abandon` does what somebody waits for.
pub(super) fn method(
    name: impl Display + Copy,
    body: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>,
    abandon: impl FnOnce(Python<'_>),
) -> *mut ffi::PyObject {
    let abandon = |py: Python<'_>| {
        let _ = catch(name, || attach::here(py, || abandon(py)));
    };
    enter(name, body, abandon).unwrap_or(null_mut())
}

/// Guards a function that returns 0, or -1 and an exception.
pub(crate) fn status(name: impl Display + Copy, body: impl FnOnce(Python<'_>) -> PyResult<()>) -> c_int {
    enter(name, body, |_| ()).map_or(-1, |()| 0)
}

/// Guards a function that cannot fail and raises nothing: its caller may have an exception of its own at hand, and
/// would find another one in the place of that.
pub(crate) fn silent(name: impl Display, body: impl FnOnce(Python<'_>)) {
    // SAFETY: as in `enter`.
    unsafe { Python::attach_unchecked(|py| catch(name, || attach::here(py, || body(py)))) };
}

fn enter<R>(
    name: impl Display + Copy,
    body: impl FnOnce(Python<'_>) -> PyResult<R>,
    after_panic: impl FnOnce(Python<'_>),
) -> Option<R> {
    let run = |py: Python<'_>| {
        let outcome = catch(name, || attach::here(py, || body(py))).unwrap_or_else(|| {
            after_panic(py);
            Err(PySystemError::new_err(format!("internal error in {name}")))
        });
        outcome.map_err(|error: PyErr| error.restore(py)).ok()
    };
    // SAFETY: CPython calls its extensions attached, also while it shuts down, where `Python::attach` would refuse.
    unsafe { Python::attach_unchecked(run) }
}
