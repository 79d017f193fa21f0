//! The capsule by which an Apache child finds the engine, and the functions in it.

use std::ffi::{c_int, c_void};

use pyo3::{Bound, PyErr, PyResult, Python, ffi};
use wsgi_unix::panics;
use wsgi_wire::embedded::{self as seam, View};
use wsgi_wire::messages::internal;

use crate::embedded;
use crate::ffi::guard;
use crate::ffi::host::{Host, Logger};
use crate::ffi::scoreboard::Scoreboard;
use crate::log::record;

/// Borrows the bytes of a view.
///
/// # Safety
/// The view is valid for `'a`.
unsafe fn bytes<'a>(view: View) -> &'a [u8] {
    // SAFETY: the caller's duty.
    unsafe { std::slice::from_raw_parts(view.start, view.length) }
}

unsafe extern "C" fn begin(settings: View, scoreboard: seam::Scoreboard, logger: seam::Logger) -> c_int {
    panics::install(record::panicked);
    // SAFETY: valid during the call, says the seam.
    let settings = unsafe { bytes(settings) };
    // SAFETY: callable on every thread, says the seam.
    let logger = unsafe { Logger::new(logger) };
    // Before anything that may fail.
    record::set_destination(logger);
    let body = |py: Python<'_>| {
        embedded::begin(py, settings, Scoreboard::Function(scoreboard)).map_err(|error| {
            record::process(&internal::ENGINE_FAILED, &format!("Python cannot be used in this Apache child: {error}"));
            PyErr::new::<pyo3::exceptions::PyRuntimeError, _>("the engine could not begin")
        })
    };
    let status = guard::status("begin", body);
    // SAFETY: attached, says the seam; the log has the error.
    unsafe { ffi::PyErr_Clear() };
    status
}

unsafe extern "C" fn serve(host: *const seam::Host, route: View, request: View) -> c_int {
    // SAFETY: valid during the call, says the seam.
    let route = unsafe { bytes(route) };
    // SAFETY: as above.
    let request = unsafe { bytes(request) };
    let served = guard::catch("a request", || {
        // SAFETY: the host is valid until this function returns, says the seam.
        embedded::serve(unsafe { Host::new(host) }, route, request)
    });
    if served == Some(true) { 0 } else { -1 }
}

unsafe extern "C" fn end() -> c_int {
    let mut clean = false;
    guard::silent("end", |py| clean = embedded::end(py));
    if clean { 0 } else { -1 }
}

static ENGINE: seam::Engine = seam::Engine { version: seam::VERSION, begin, serve, end };

/// Puts the capsule into the module.
///
/// # Errors
/// What CPython raises.
pub(super) fn offer(py: Python<'_>, module: *mut ffi::PyObject) -> PyResult<()> {
    let engine = (&raw const ENGINE).cast_mut().cast::<c_void>();
    // SAFETY: attached; the engine's table and the name are static.
    let capsule = unsafe { ffi::PyCapsule_New(engine, seam::CAPSULE.as_ptr(), None) };
    // SAFETY: a new reference, or null and an exception.
    let capsule = unsafe { Bound::from_owned_ptr_or_err(py, capsule) }?;
    // SAFETY: attached; the module is being made; the function takes a reference of its own.
    let status = unsafe { ffi::PyModule_AddObjectRef(module, c"embedded".as_ptr(), capsule.as_ptr()) };
    if status == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
}

/// Implements `Py_mod_exec`, which CPython calls while the engine's module is being made.
pub(crate) unsafe extern "C" fn execute(module: *mut ffi::PyObject) -> c_int {
    guard::status("the module _engine", |py| offer(py, module))
}
