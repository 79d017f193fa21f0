//! Keys under which C code keeps a value for each thread.

use std::ffi::c_void;

use windows_sys::Win32::System::Threading::{TlsGetValue, TlsSetValue};

/// How many keys a process can have: 64 and, since Windows 2000, 1024 more (`TlsAlloc`).
const KEYS: u32 = 64 + 1024;

/// A key, which may be in use.
#[derive(Debug, Clone, Copy)]
pub struct ThreadKey(u32);

impl ThreadKey {
    /// All keys that there can be.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..KEYS).map(Self)
    }

    /// The value of the calling thread; null if it has none, or the key is not in use.
    pub fn value(self) -> *mut c_void {
        // SAFETY: a key that is not in use has no value.
        unsafe { TlsGetValue(self.0) }
    }

    /// Sets the value of the calling thread.
    ///
    /// # Safety
    /// The key is in use, and whoever uses it takes this value for one of its own.
    pub unsafe fn set(self, value: *mut c_void) {
        // SAFETY: the caller's duty.
        unsafe { TlsSetValue(self.0, value) };
    }
}
