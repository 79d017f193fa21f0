//! The Apache child of embedded mode, as the engine calls it: one request ([`Host`]), and its log ([`Logger`]).

use std::ffi::c_void;
use std::ptr::NonNull;

use pyo3::{Bound, PyAny, PyResult, Python, ffi};
use wsgi_unix::descriptor::{self, OwnedFd};
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

    /// The functions of the Apache side.
    fn functions(&self) -> &seam::Host {
        // SAFETY: the host lives as long as the request, and does not change.
        unsafe { &*self.0 }
    }

    /// Apache's record of the request, where applications may have it.
    pub(crate) fn request_rec(&self) -> Option<RequestRec> {
        NonNull::new(self.functions().request_rec).map(RequestRec)
    }

    /// Hands one frame over; `false` when nobody waits for the response any more. May block.
    pub(crate) fn send_frame(&self, kind: Kind, payload: &[u8], descriptor: Option<OwnedFd>) -> bool {
        let descriptor = descriptor::hand_over(descriptor);
        let host = self.functions();
        // SAFETY: the request of this host; the descriptor is the callee's from here on.
        unsafe { (host.send_frame)(host.request, kind as u8, View::of(payload), descriptor) == 0 }
    }

    /// Sends what has been handed over to the client; `false` when nobody waits for it any more. May block.
    pub(crate) fn flush(&self) -> bool {
        let host = self.functions();
        // SAFETY: the request of this host.
        unsafe { (host.flush)(host.request) == 0 }
    }

    /// Reads a piece of the request body: the frame that would answer a `Pull`. Blocks.
    pub(crate) fn pull(&mut self, max: u32) -> Option<(Kind, &[u8])> {
        let (host, mut view) = (self.functions(), View::of(&[]));
        // SAFETY: the request of this host, and a place for a view.
        let kind = unsafe { (host.pull)(host.request, max, &mut view) };
        // SAFETY: the view is valid until the next call, which needs this exclusive reference back.
        let payload = unsafe { std::slice::from_raw_parts(view.start, view.length) };
        Some((Kind::try_from(u8::try_from(kind).ok()?).ok()?, payload))
    }

    /// A variable of mod_ssl, if there is one of this name.
    pub(crate) fn ssl_variable(&mut self, name: &[u8]) -> Option<&[u8]> {
        let (host, mut view) = (self.functions(), View::of(&[]));
        // SAFETY: the request of this host, and a place for a view.
        let found = unsafe { (host.ssl_variable)(host.request, View::of(name), &mut view) } != 0;
        // SAFETY: the view is valid until the next call, which needs this exclusive reference back.
        found.then(|| unsafe { std::slice::from_raw_parts(view.start, view.length) })
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
        // SAFETY: attached; the pointer is not null.
        let capsule = unsafe { ffi::PyCapsule_New(self.0.as_ptr(), std::ptr::null(), None) };
        // SAFETY: a new reference, or null and an exception.
        unsafe { Bound::from_owned_ptr_or_err(py, capsule) }
    }
}

/// The error log of Apache, for records of embedded mode.
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
