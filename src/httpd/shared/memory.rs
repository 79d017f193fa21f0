//! A memory file that is mapped for good: Apache's children inherit the mapping.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The mapping. Copies refer to the same memory. All zero is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Memory {
    base: *mut u8,
    size: usize,
    fd: RawFd,
}

// SAFETY: what is shared in there is shared between processes anyway: atomics, or what is checked after it was copied.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Nothing.
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

    /// Its descriptor.
    pub fn fd(&self) -> BorrowedFd<'static> {
        // SAFETY: `map` keeps the descriptor open as long as the mapping.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    /// What begins at `offset`.
    ///
    /// # Safety
    /// It is mapped, and ends within the mapping; all bytes are valid for a `T`, and `offset` is aligned for it. The mapping stays for as long as
    /// the result is used.
    pub unsafe fn at<T>(&self, offset: usize) -> &'static T {
        // SAFETY: the caller's duty; the mapping begins at a page.
        unsafe { &*self.base.add(offset).cast::<T>() }
    }

    /// Copies bytes to `offset`, as many of them as fit; how many.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> usize {
        let length = bytes.len().min(self.size.saturating_sub(offset));
        if length > 0 {
            // SAFETY: `length` bytes from there on are within the mapping, and no reference of this process is to any but atomics before `offset`.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.base.add(offset), length) };
        }
        length
    }

    /// Ends the mapping and closes the file.
    ///
    /// # Safety
    /// Nobody in this process uses the memory, its descriptor, or a copy of this any more.
    pub unsafe fn unmap(self) {
        if self.is_mapped() {
            // SAFETY: the range and the descriptor are those of `map`, and nobody's else, says the caller. A failure would leave memory behind,
            // which nobody refers to.
            unsafe {
                let _ = munmap(self.base.cast(), self.size);
                drop(OwnedFd::from_raw_fd(self.fd));
            }
        }
    }
}
