//! The way in for every function that CPython calls: a panic becomes a `SystemError` and one log record, never an
//! unwind into C.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::OnceLock;

use pyo3::exceptions::PySystemError;
use pyo3::{PyErr, PyResult, Python, ffi};

use wsgi_unix::panics;

use super::attach;

thread_local! {
    /// Where the last panic of this thread happened; the panic hook leaves it here for the guard that catches the
    /// panic.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Writes the record about a panic that was caught.
static REPORT: OnceLock<fn(&str)> = OnceLock::new();

/// Keeps the default hook from printing: the guard that catches a panic hands `report` the text of one record.
pub(crate) fn install_panic_hook(report: fn(&str)) {
    // Once, at start.
    let _ = REPORT.set(report);
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        // A panic while the cell is borrowed can only come from here; then the place is simply not known.
        let _ = PLACE.try_with(|cell| cell.try_borrow_mut().map(|mut cell| *cell = place));
    }));
}

/// What a caught panic says, with its place.
pub(crate) fn describe(payload: &(dyn Any + Send)) -> String {
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    match PLACE.with(|cell| cell.take()) {
        Some(place) => format!("{message} at {place}"),
        None => message.to_owned(),
    }
}

/// Runs `body`; a panic is logged as "panic in `name`" and gives `None`.
///
/// `AssertUnwindSafe` holds because the request in whose course it happened is abandoned, and shared state sits behind
/// locks.
pub(crate) fn catch<R>(name: &str, body: impl FnOnce() -> R) -> Option<R> {
    let body = || {
        panics::point(name);
        body()
    };
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => Some(result),
        Err(payload) => {
            let text = format!("panic in {name}: {}", describe(&*payload));
            if let Some(report) = REPORT.get() {
                report(&text);
            }
            // Dropping a payload may panic again.
            std::mem::forget(payload);
            None
        }
    }
}

/// For functions that return an object: null and an exception on failure.
pub(crate) fn object(name: &str, body: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>) -> *mut ffi::PyObject {
    enter(name, body).unwrap_or(null_mut())
}

/// For functions that return 0, or -1 and an exception.
pub(crate) fn status(name: &str, body: impl FnOnce(Python<'_>) -> PyResult<()>) -> c_int {
    enter(name, body).map_or(-1, |()| 0)
}

/// For functions that return nothing and cannot fail.
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
