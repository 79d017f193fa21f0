//! The seam of embedded mode: the engine lives in an Apache child, and what otherwise travels on a socket is handed
//! over by function calls. The messages are those of the wire: a `Route` payload, a `Request` payload, response frames
//! one at a time.
//!
//! The engine offers [`Engine`] as a capsule named [`CAPSULE`]; the Apache half offers [`Host`] with each request.

use std::ffi::{CStr, c_int, c_void};

/// The version of the structures here: it changes with their layout.
pub const VERSION: u32 = 5;

/// Name of the capsule, as `PyCapsule_Import` wants it: module, dot, attribute.
pub const CAPSULE: &CStr = c"mod_wsgi._engine.embedded";

/// A byte string that the other side may read during the call.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct View {
    /// The address of its first byte; never null.
    pub start: *const u8,
    /// Its length in bytes.
    pub length: usize,
}

impl View {
    /// Makes a view of a slice.
    pub fn of(bytes: &[u8]) -> Self {
        Self { start: bytes.as_ptr(), length: bytes.len() }
    }
}

/// Returns the encoded [`crate::scoreboard::Scoreboard`] of Apache at this moment, empty if it has none. The view stays
/// valid until the next call on the same thread.
pub type Scoreboard = unsafe extern "C" fn(into: *mut View);

/// Writes an encoded [`crate::report::ProcessRecord`] that belongs to no request; callable on every thread.
pub type Logger = unsafe extern "C" fn(record: View);

/// The functions of the engine in an Apache child.
#[derive(Debug)]
#[repr(C)]
pub struct Engine {
    /// The [`VERSION`] of the engine; the rest may be used only if it is the same on both sides.
    pub version: u32,
    /// Prepares the main interpreter from encoded [`crate::settings::Daemon`]s and loads its scripts. Called once,
    /// attached, on the thread that Python began on. 0, or -1 after the log has said why not. `scoreboard` and `logger`
    /// stay callable until the process ends.
    pub begin: unsafe extern "C" fn(settings: View, scoreboard: Scoreboard, logger: Logger) -> c_int,
    /// Answers one request on the calling thread, which is attached to no interpreter. `route` is the payload of a
    /// `Route` frame, `request` that of a `Request` frame. 0, or -1 if there is no answer at all.
    pub serve: unsafe extern "C" fn(host: *const Host, route: View, request: View) -> c_int,
    /// Publishes `process_stopping` and ends the sub-interpreters. Called on the thread that Python began on, attached,
    /// when no request runs. 0 if Python may be finalised now, or -1 if it must be left as it is because
    /// sub-interpreters are left.
    pub end: unsafe extern "C" fn() -> c_int,
}

/// The functions of the Apache half for the engine during one request.
#[derive(Debug)]
#[repr(C)]
pub struct Host {
    /// The value that each call passes back.
    pub request: *mut c_void,
    /// Apache's `request_rec`, where `WSGIPassApacheRequest` hands it to applications; else null.
    pub request_rec: *mut c_void,
    /// Takes one frame of the response: a [`crate::frame::Kind`], its payload, and the descriptor that belongs to a
    /// `File` (the callee then owns it), else -1. May block while the client is slow. 0, or -1 when nobody waits for
    /// the response any more.
    pub send_frame: unsafe extern "C" fn(request: *mut c_void, kind: u8, payload: View, descriptor: c_int) -> c_int,
    /// Sends to the client what has been taken so far. Returns as `send_frame` does.
    pub flush: unsafe extern "C" fn(request: *mut c_void) -> c_int,
    /// Reads one to `max` bytes of the request body; blocks. With 0 it reads none: a client that waits for `100
    /// Continue` gets it. The view stays valid until the next call. The number is the kind of the frame that would
    /// answer a `Pull`: `Body`, `BodyEnd`, or `BodyError` with its payload.
    pub pull: unsafe extern "C" fn(request: *mut c_void, max: u32, into: *mut View) -> c_int,
    /// Looks up a variable of mod_ssl: 1 and its value, which stays valid until the next call, or 0.
    pub ssl_variable: unsafe extern "C" fn(request: *mut c_void, name: View, into: *mut View) -> c_int,
}
