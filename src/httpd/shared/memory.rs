//! A memory file that is mapped for good: Apache's children inherit the mapping.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::AtomicU32;
use std::{ptr, slice};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A mapping. Copies refer to the same memory. All zero is no mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Memory {
    base: *mut u8,
    size: usize,
    fd: RawFd,
}

// SAFETY: what is in there is shared between processes anyway, and is looked at as atomics only.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// The value without a mapping.
    pub const NONE: Self = Self { base: ptr::null_mut(), size: 0, fd: -1 };

    /// Maps a memory file, whose length must be sealed, to be read and written.
    ///
    /// # Errors
    /// Those of `mmap`.
    pub fn map(file: OwnedFd, size: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours.
        let base = unsafe { mmap(ptr::null_mut(), size, protection, MapFlags::SHARED, file.as_fd(), 0)? };
        Ok(Self { base: base.cast(), size, fd: file.into_raw_fd() })
    }

    /// Whether there is a mapping: false for zeroed memory.
    pub fn is_mapped(&self) -> bool {
        !self.base.is_null()
    }

    /// The descriptor of the memory file.
    pub fn fd(&self) -> BorrowedFd<'static> {
        // SAFETY: `map` keeps the descriptor open as long as the mapping.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    /// What begins at `offset`.
    ///
    /// # Safety
    /// It is mapped, and ends within the mapping; all bytes are valid for a `T`, and `offset` is aligned for it. The
    /// mapping stays for as long as the result is used.
    pub unsafe fn at<T>(&self, offset: usize) -> &'static T {
        // SAFETY: the caller's duty; the mapping begins at a page.
        unsafe { &*self.base.wrapping_add(offset).cast::<T>() }
    }

    /// The words from `offset`, which is a multiple of their size, to the end.
    ///
    /// # Safety
    /// There is a mapping, and nobody looks at this part of it but as these atomics. The mapping stays for as long as
    /// the result is used.
    pub unsafe fn words(&self, offset: usize) -> &'static [AtomicU32] {
        let length = self.size.saturating_sub(offset) / size_of::<AtomicU32>();
        // SAFETY: not behind the end of the mapping.
        let start = unsafe { self.base.add(offset.min(self.size)) };
        // SAFETY: so many words are mapped from there on; all bytes are valid for atomics; the rest is the caller's
        // duty.
        unsafe { slice::from_raw_parts(start.cast::<AtomicU32>(), length) }
    }

    /// Ends the mapping and closes the file.
    ///
    /// # Safety
    /// Nobody in this process uses the memory, its descriptor, or a copy of this any more.
    pub unsafe fn unmap(self) {
        if self.is_mapped() {
            // SAFETY: the range is that of `map`, and nobody refers to it, says the caller. A failure would leave
            // memory behind.
            let _ = unsafe { munmap(self.base.cast(), self.size) };
            // SAFETY: the descriptor is that of `map`, and nobody's else, says the caller.
            drop(unsafe { OwnedFd::from_raw_fd(self.fd) });
        }
    }
}
