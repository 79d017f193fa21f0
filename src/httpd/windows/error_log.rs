//! Lines that go into Apache's error log as they are. The file is Apache's, and APR writes to it.

use std::ffi::CStr;

use wsgi_wire::record::Level;

use super::server::Server;
use super::sys;

/// Writes a line into the file of the error log; `false` if there is none.
pub(super) fn write(s: Server<'_>, line: &str) -> bool {
    let file = s.error_log_file();
    if file.is_null() {
        return false;
    }
    // SAFETY: S5; the text has this length. A full disk must not stop the service.
    let _ = unsafe { sys::apr_file_write_full(file, line.as_ptr().cast(), line.len(), std::ptr::null_mut()) };
    true
}

/// There is no syslog.
pub(super) fn to_syslog(_level: Level, _text: &CStr) {}
