//! Apache's error log, under our own module index, so that `LogLevel wsgi:debug` works.

use std::ffi::{CString, c_int};
use std::fmt;

use wsgi_wire::record::Level;

use super::module;
use super::request::Request;
use super::server::Server;
use super::sys;

/// Writes one record about a request.
pub fn request(r: &Request<'_>, level: Level, text: fmt::Arguments<'_>) {
    if wanted(r, level) {
        request_bytes(r, level, text.to_string().as_bytes());
    }
}

/// Whether a record of this level about this request would be written: asked before the text is made.
pub fn wanted(r: &Request<'_>, level: Level) -> bool {
    // SAFETY: S1.
    unsafe { sys::wsgi_shim_request_logs(r.raw(), module::index(), level as c_int) != 0 }
}

/// Writes one record about a request from bytes of any origin. Apache escapes control characters itself and cuts at 8 KiB.
pub fn request_bytes(r: &Request<'_>, level: Level, text: &[u8]) {
    let text = c_text(text);
    // SAFETY: S1; the text is data, never a format.
    unsafe { sys::wsgi_shim_log_request(module::index(), level as c_int, r.raw(), text.as_ptr()) };
}

/// Writes one record about a server.
pub fn server(s: Server<'_>, level: Level, text: fmt::Arguments<'_>) {
    // SAFETY: S5.
    if unsafe { sys::wsgi_shim_server_logs(s.raw(), module::index(), level as c_int) != 0 } {
        let text = c_text(text.to_string().as_bytes());
        // SAFETY: S5; the text is data, never a format.
        unsafe { sys::wsgi_shim_log_server(module::index(), level as c_int, s.raw(), text.as_ptr()) };
    }
}

/// Writes one record about the main server; where there is none yet, to standard error as httpd does.
pub fn main(level: Level, text: fmt::Arguments<'_>) {
    if let Some(s) = Server::main() {
        return server(s, level, text);
    }
    let text = c_text(text.to_string().as_bytes());
    // SAFETY: a null server means "no configuration yet" to httpd.
    unsafe { sys::wsgi_shim_log_server(module::index(), level as c_int, std::ptr::null(), text.as_ptr()) };
}

/// Text for C; a NUL inside becomes visible instead of cutting the record.
fn c_text(text: &[u8]) -> CString {
    CString::new(text).unwrap_or_else(|_| {
        let visible: Vec<u8> = text.iter().map(|b| if *b == 0 { b'?' } else { *b }).collect();
        CString::new(visible).unwrap_or_default()
    })
}
