//! What has another name on Windows (`windows.rs`).

use std::borrow::Cow;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;

use rustix::rand::{GetRandomFlags, getrandom};

/// Descriptors, which are handles on Windows.
pub mod descriptor {
    pub use std::os::fd::{BorrowedFd, OwnedFd};

    use std::ffi::c_int;
    use std::os::fd::{FromRawFd, IntoRawFd};

    /// The lowest number of a descriptor that is none of the standard streams.
    const FIRST: c_int = 3;

    /// A descriptor that somebody hands over by its number; none is below 0.
    ///
    /// # Safety
    /// It is open, and nobody else closes it.
    pub unsafe fn handed_over(number: c_int) -> Option<OwnedFd> {
        // SAFETY: the caller's duty.
        (number >= 0).then(|| unsafe { OwnedFd::from_raw_fd(number) })
    }

    /// The number by which a descriptor is handed over to somebody who closes it; -1 for none.
    pub fn hand_over(descriptor: Option<OwnedFd>) -> c_int {
        descriptor.map_or(-1, IntoRawFd::into_raw_fd)
    }

    /// A descriptor of our own for the file whose descriptor somebody else gave as this number, if it is open.
    pub fn duplicate(number: c_int) -> Option<OwnedFd> {
        // SAFETY: whatever the number is, this makes a new descriptor or fails. Nobody's descriptor is closed or
        // changed.
        let own = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, FIRST) };
        // SAFETY: it has just been made, for us.
        (own >= 0).then(|| unsafe { OwnedFd::from_raw_fd(own) })
    }
}

/// Ends the process at once, without exit functions and destructors.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns; nothing of this process is left to be harmed.
    unsafe { libc::_exit(code) }
}

/// The number of the calling thread.
pub fn thread_id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// Fills a buffer with random numbers that nobody can guess; `false` if there are none.
pub fn fill_randomly(buffer: &mut [u8]) -> bool {
    getrandom(&mut *buffer, GetRandomFlags::empty()).is_ok_and(|filled| filled == buffer.len())
}

/// Text as the system has it.
pub fn native(text: &[u8]) -> Cow<'_, OsStr> {
    Cow::Borrowed(OsStr::from_bytes(text))
}

/// Text of the system as httpd has it.
pub fn bytes(text: &OsStr) -> Cow<'_, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

/// Whether the system has a locale of this name.
pub fn has_locale(name: &[u8]) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: the name ends in NUL; no locale in force is changed.
    let locale = unsafe { libc::newlocale(libc::LC_ALL_MASK, name.as_ptr(), std::ptr::null_mut()) };
    if locale.is_null() {
        return false;
    }
    // SAFETY: it has just been made, and is nobody else's.
    unsafe { libc::freelocale(locale) };
    true
}
