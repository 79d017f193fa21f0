//! The file behind Apache's error log, and lines that go into it as they are.

use std::ffi::{CStr, c_int};
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::retry_on_intr;
use wsgi_wire::record::Level;

use super::server::Server;
use super::sys;

impl<'s> Server<'s> {
    /// The descriptor of its error log; `None` where it logs to a program or to syslog through no file.
    pub fn error_log(self) -> Option<BorrowedFd<'s>> {
        let mut fd: RawFd = -1;
        let file = self.error_log_file();
        // SAFETY: S5; a file, and a place for a number.
        if file.is_null() || unsafe { sys::apr_os_file_get(&raw mut fd, file) } != 0 || fd < 0 {
            return None;
        }
        // SAFETY: S5; the log file is open as long as the configuration lives.
        Some(unsafe { BorrowedFd::borrow_raw(fd) })
    }
}

/// Writes a line into the file of the error log; `false` if there is none.
pub(super) fn write(s: Server<'_>, line: &str) -> bool {
    let Some(file) = s.error_log() else { return false };
    // A full disk must not stop the service.
    let _ = retry_on_intr(|| rustix::io::write(file, line.as_bytes()));
    true
}

/// Apache has opened syslog with the facility and the tag of `ErrorLog`. Its own way there would escape every backslash
/// and thus break JSON.
pub(super) fn to_syslog(level: Level, text: &CStr) {
    const TEXT: &CStr = c"%s";
    // SAFETY: both are strings that end in NUL, and the format takes the other one. Apache's levels are those of
    // syslog.
    unsafe { libc::syslog((level as c_int).min(libc::LOG_DEBUG), TEXT.as_ptr(), text.as_ptr()) };
}
