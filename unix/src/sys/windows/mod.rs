//! What embedded mode needs of the system where that is Windows, under the names that it has on Unix. Compiled
//! and linked only (`scripts/windows`); nobody has run it.
//!
//! Knows the contracts of Windows. Must not know this product.

pub mod clock;
mod library;
#[path = "../scheduling.rs"]
pub mod scheduling;
pub mod thread_key;
pub mod usage;

use std::borrow::Cow;
use std::ffi::OsStr;

use windows_sys::Win32::Security::Cryptography::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};
use windows_sys::Win32::System::Threading::{ExitProcess, GetCurrentThreadId};

pub use self::library::*;

/// There is no fork.
pub mod fork {
    /// Nothing has to be withheld from anybody.
    ///
    /// # Errors
    /// Never.
    pub fn begin() -> std::io::Result<()> {
        Ok(())
    }

    /// Withholds nothing either, where Python is a guest.
    ///
    /// # Errors
    /// Never.
    pub fn begin_as_guest() -> std::io::Result<()> {
        begin()
    }

    /// Every process is its own.
    pub fn is_ours() -> bool {
        true
    }
}

/// The size of stacks.
pub mod stack {
    /// What the system's programs have by default, which is less than Python's main thread gets.
    pub fn size() -> usize {
        1 << 20
    }
}

/// The stop of an Apache child, which waits for nobody here.
pub mod stop {
    /// Nobody has to be woken.
    pub fn begin() {}

    /// No thread waits for a process.
    pub fn has_begun() -> bool {
        false
    }
}

/// What is asked about the user of this process.
pub mod user {
    /// There is no user with all rights whose files others could have put somewhere.
    pub fn is_root() -> bool {
        false
    }
}

/// Descriptors: Apache sends no files from those of others here, and no sockets are shared.
pub mod descriptor {
    pub use std::os::windows::io::BorrowedSocket as BorrowedFd;

    use std::ffi::c_int;

    /// A descriptor that is handed over, of which there is none.
    #[derive(Debug)]
    pub enum OwnedFd {}

    /// A descriptor that somebody hands over by its number.
    ///
    /// # Safety
    /// None is needed: the number is not looked at.
    pub unsafe fn handed_over(_number: c_int) -> Option<OwnedFd> {
        None
    }

    /// The number by which a descriptor is handed over.
    pub fn hand_over(descriptor: Option<OwnedFd>) -> c_int {
        descriptor.map_or(-1, |none| match none {})
    }
}

/// The number of the calling thread.
pub fn thread_id() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { GetCurrentThreadId() }
}

/// Fills a buffer with random numbers that nobody can guess; `false` if there are none.
pub fn fill_randomly(buffer: &mut [u8]) -> bool {
    let Ok(length) = u32::try_from(buffer.len()) else { return false };
    // SAFETY: the buffer has this length; without an algorithm the system chooses one.
    let status =
        unsafe { BCryptGenRandom(std::ptr::null_mut(), buffer.as_mut_ptr(), length, BCRYPT_USE_SYSTEM_PREFERRED_RNG) };
    status == 0
}

/// Text as the system has it: what httpd hands over is UTF-8.
pub fn native(text: &[u8]) -> Cow<'_, OsStr> {
    match String::from_utf8_lossy(text) {
        Cow::Borrowed(text) => Cow::Borrowed(OsStr::new(text)),
        Cow::Owned(text) => Cow::Owned(text.into()),
    }
}

/// Text of the system as httpd has it.
pub fn bytes(text: &OsStr) -> Cow<'_, [u8]> {
    match text.to_string_lossy() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Ends the process at once, without exit functions and destructors of ours.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: never returns; nothing of this process is left to be harmed.
    unsafe { ExitProcess(code as u32) }
}

/// Signals, of which no thread has to be kept free here.
pub mod signals {
    /// A set of them.
    #[derive(Debug, Clone, Copy)]
    pub struct SignalSet;

    impl SignalSet {
        /// Returns the set of all signals.
        pub fn all() -> Self {
            Self
        }

        /// Those that wait to be delivered: none.
        pub fn pending() -> Self {
            Self
        }

        /// Blocks nothing, and returns what was blocked before.
        pub fn block(&self) -> Self {
            Self
        }

        /// None is in it.
        pub fn has(&self, _signal: std::ffi::c_int) -> bool {
            false
        }
    }
}
