//! The Apache child of embedded mode, as the engine calls it: one request ([`Host`]), and its log ([`Logger`]).

use std::ffi::c_void;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr::NonNull;

use pyo3::{Bound, PyAny, PyResult, Python, ffi};
use wsgi_wire::embedded::{self as seam, View};
use wsgi_wire::frame::Kind;

/// The Apache side of one request.
pub(crate) struct Host(*const seam::Host);

// SAFETY: Apache's thread waits inside `serve` for as long as this exists, and the request's own lock lets one thread
// at a time use it.
unsafe impl Send for Host {}

impl Host {
    /// The Apache side of the request that is being served.
    ///
    /// # Safety
    /// The host is valid for as long as this is used.
    pub(crate) unsafe fn new(host: *const seam::Host) -> Self {
        Self(host)
    }

    /// Apache's record of the request, where applications may have it.
    pub(crate) fn request_rec(&self) -> Option<RequestRec> {
        // SAFETY: the host lives as long as the request.
        NonNull::new(unsafe { (*self.0).request_rec }).map(RequestRec)
    }

    /// Hands one frame over; `false` when nobody waits for the response any more. May block.
    pub(crate) fn send_frame(&self, kind: Kind, payload: &[u8], descriptor: Option<OwnedFd>) -> bool {
        let descriptor = descriptor.map_or(-1, IntoRawFd::into_raw_fd);
        // SAFETY: the host lives as long as the request; the descriptor is the callee's from here on.
        unsafe { ((*self.0).take)((*self.0).request, kind as u8, View::of(payload), descriptor) == 0 }
    }

    /// Sends what has been handed over to the client; `false` when nobody waits for it any more. May block.
    pub(crate) fn flush(&self) -> bool {
        // SAFETY: as in `send_frame`.
        unsafe { ((*self.0).flush)((*self.0).request) == 0 }
    }

    /// Reads a piece of the request body: the frame that would answer a `Pull`. Blocks.
    pub(crate) fn pull(&mut self, max: u32) -> Option<(Kind, &[u8])> {
        let mut view = View::of(&[]);
        // SAFETY: as in `send_frame`; the view is valid until the next call, which needs this exclusive reference back.
        let (kind, payload) = unsafe {
            let kind = ((*self.0).pull)((*self.0).request, max, &mut view);
            (kind, std::slice::from_raw_parts(view.start, view.length))
        };
        Some((Kind::try_from(u8::try_from(kind).ok()?).ok()?, payload))
    }

    /// A variable of mod_ssl, if there is one of this name.
    pub(crate) fn ssl_variable(&mut self, name: &[u8]) -> Option<&[u8]> {
        let mut view = View::of(&[]);
        // SAFETY: as in `send_frame`; the view is valid until the next call, which needs this exclusive reference back.
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
    /// The log that this function writes to.
    ///
    /// # Safety
    /// The function may be called on every thread, until the process ends.
    pub(crate) unsafe fn new(log: seam::Logger) -> Self {
        Self(log)
    }

    /// Writes an encoded record.
    pub(crate) fn log(&self, record: &[u8]) {
        // SAFETY: callable on every thread, says the seam; the view is valid during the call.
        unsafe { (self.0)(View::of(record)) };
    }
}
