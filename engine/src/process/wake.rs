//! The way to wake the main thread of a daemon process, which sleeps in poll(2).

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{EventfdFlags, eventfd};
use wsgi_unix::fork::Unshared;

/// The descriptor that can be read when the main thread is to look around.
pub(crate) struct Wake(Unshared);

impl Wake {
    /// Makes the descriptor.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self(Unshared::make(|| eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK))?))
    }

    /// Wakes the main thread.
    pub(super) fn call(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Forgets earlier calls.
    pub(super) fn forget(&self) {
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
