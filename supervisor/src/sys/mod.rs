//! The only place with unsafe code: what this process inherits, the mapped table, and what runs between fork and exec.
//!
//! Knows which call is sound, and why. Must not know process groups, nor what it is called for.
#![deny(clippy::multiple_unsafe_ops_per_block)]

pub mod alarm;
pub mod child;
pub mod descriptors;
pub mod pages;
pub mod signal;
pub mod table;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// Maps the first `size` bytes of a memory file, which has as many and whose length is sealed, to be read and written.
fn map(file: &File, size: usize) -> io::Result<NonNull<u8>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the kernel chooses an address where nothing is mapped; the file has the bytes and keeps them, says the
    // caller.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?)
}
