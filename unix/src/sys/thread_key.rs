//! Keys under which C code keeps a value for each thread.

use std::ffi::c_void;

/// `PTHREAD_KEYS_MAX` of Linux: the number of such keys.
const KEYS: libc::pthread_key_t = 1024;

/// A key, which may be in use.
#[derive(Debug, Clone, Copy)]
pub struct ThreadKey(libc::pthread_key_t);

impl ThreadKey {
    /// All keys that there can be.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..KEYS).map(Self)
    }

    /// The value of the calling thread; null if it has none, or the key is not in use.
    #[inline]
    pub fn value(self) -> *mut c_void {
        // SAFETY: a key that is not in use has the value null.
        unsafe { libc::pthread_getspecific(self.0) }
    }

    /// Sets the value of the calling thread.
    ///
    /// # Safety
    /// The key is in use, and whoever uses it takes this value for one of its own.
    #[inline]
    pub unsafe fn set(self, value: *mut c_void) {
        // SAFETY: the caller's duty.
        unsafe { libc::pthread_setspecific(self.0, value) };
    }
}
