//! The capsule by which an Apache child finds the engine, and the functions in it.

use std::ffi::{c_int, c_void};
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr::NonNull;

use pyo3::{Bound, PyAny, PyErr, PyResult, Python, ffi};
use wsgi_wire::embedded::{self as seam, View};
use wsgi_wire::frame::Kind;
use wsgi_wire::record::Level;

use super::guard;
use super::scoreboard::Scoreboard;
use crate::embedded;
use crate::log::record;

/// The Apache side of one request.
pub(crate) struct Host(*const seam::Host);

// SAFETY: Apache's thread waits inside `serve` for as long as this exists, and the request's own lock lets one thread at a time use it.
unsafe impl Send for Host {}

impl Host {
    /// Apache's record of the request, where applications may have it.
    pub(crate) fn request_rec(&self) -> Option<RequestRec> {
        // SAFETY: the host lives as long as the request.
        NonNull::new(unsafe { (*self.0).request_rec }).map(RequestRec)
    }

    /// Hands one frame over; `false` when nobody waits for the response any more. May block.
    pub(crate) fn take(&self, kind: Kind, payload: &[u8], descriptor: Option<OwnedFd>) -> bool {
        let descriptor = descriptor.map_or(-1, IntoRawFd::into_raw_fd);
        // SAFETY: the host lives as long as the request; the descriptor is the callee's from here on.
        unsafe { ((*self.0).take)((*self.0).request, kind as u8, View::of(payload), descriptor) == 0 }
    }

    /// Sends what has been handed over to the client; `false` when nobody waits for it any more. May block.
    pub(crate) fn flush(&self) -> bool {
        // SAFETY: as in `take`.
        unsafe { ((*self.0).flush)((*self.0).request) == 0 }
    }

    /// Reads a piece of the request body: the frame that would answer a `Pull`. Blocks.
    pub(crate) fn pull(&mut self, most: u32) -> Option<(Kind, &[u8])> {
        let mut view = View::of(&[]);
        // SAFETY: as in `take`; the view is valid until the next call, which needs this exclusive reference back.
        let (kind, payload) = unsafe {
            let kind = ((*self.0).pull)((*self.0).request, most, &mut view);
            (kind, std::slice::from_raw_parts(view.start, view.length))
        };
        Some((Kind::try_from(u8::try_from(kind).ok()?).ok()?, payload))
    }

    /// A variable of mod_ssl, if there is one of this name.
    pub(crate) fn ssl_variable(&mut self, name: &[u8]) -> Option<&[u8]> {
        let mut view = View::of(&[]);
        // SAFETY: as in `take`; the view is valid until the next call, which needs this exclusive reference back.
        unsafe {
            let found = ((*self.0).ssl_variable)((*self.0).request, View::of(name), &mut view) != 0;
            found.then(|| std::slice::from_raw_parts(view.start, view.length))
        }
    }
}

/// Apache's `request_rec`: nothing here looks into it.
pub(crate) struct RequestRec(NonNull<c_void>);

impl RequestRec {
    /// The capsule that applications get: without a name, as other modules that take it expect.
    ///
    /// # Errors
    /// What CPython raises.
    pub(crate) fn capsule<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: attached; the pointer is not null; the result is a new reference or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyCapsule_New(self.0.as_ptr(), std::ptr::null(), None)) }
    }
}

/// Apache's log.
pub(crate) struct Logger(seam::Logger);

impl Logger {
    /// Writes an encoded record.
    pub(crate) fn log(&self, record: &[u8]) {
        // SAFETY: callable on every thread, says the seam; the view is valid during the call.
        unsafe { (self.0)(View::of(record)) };
    }
}

/// The bytes of a view.
///
/// # Safety
/// The view is valid for `'a`.
unsafe fn bytes<'a>(view: View) -> &'a [u8] {
    // SAFETY: the caller's duty.
    unsafe { std::slice::from_raw_parts(view.start, view.length) }
}

unsafe extern "C" fn begin(settings: View, scoreboard: seam::Scoreboard, logger: seam::Logger) -> c_int {
    guard::install_panic_hook();
    // SAFETY: valid during the call, says the seam.
    let settings = unsafe { bytes(settings) };
    let body = |py: Python<'_>| {
        embedded::begin(py, settings, Scoreboard::Function(scoreboard), Logger(logger)).map_err(|error| {
            record::process(Level::Crit, &format!("Python cannot be used in this Apache child: {error}"));
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
    let (route, request) = unsafe { (bytes(route), bytes(request)) };
    let served = guard::catch("a request", || embedded::serve(Host(host), route, request));
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
    // SAFETY: attached; the engine's table and the name are static; `PyModule_AddObjectRef` leaves our reference to us.
    unsafe {
        let capsule = ffi::PyCapsule_New(engine, seam::CAPSULE.as_ptr(), None);
        if capsule.is_null() {
            return Err(PyErr::fetch(py));
        }
        let status = ffi::PyModule_AddObjectRef(module, c"embedded".as_ptr(), capsule);
        ffi::Py_DecRef(capsule);
        if status == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
    }
}

/// `Py_mod_exec`: the engine's module is being made.
pub(crate) unsafe extern "C" fn execute(module: *mut ffi::PyObject) -> c_int {
    guard::status("the module _engine", |py| offer(py, module))
}
