//! The pages of a process group, mapped.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;

use wsgi_wire::table::{PAGES, Page, SLOTS, page_offset};

/// The pages of one group: shared with Apache and, whole, with the group's own daemons.
#[derive(Debug)]
pub struct Pages {
    base: NonNull<u8>,
    file: File,
    /// Device and number of the file.
    identity: (u64, u64),
}

impl Pages {
    /// Maps the memory file.
    ///
    /// # Errors
    /// If it is not as long as it must be, or cannot be mapped.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        let found = file.metadata()?;
        if found.len() < PAGES as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the pages of a group are too short"));
        }
        Ok(Self { base: super::map(&file, PAGES)?, identity: (found.dev(), found.ino()), file })
    }

    /// Whether this is the same memory as that of the other.
    pub fn is_same(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// The page of the process in a slot, or `None` beyond the last.
    pub fn page(&self, slot: usize) -> Option<&Page> {
        // SAFETY: for an index below SLOTS it is inside the mapping, which lives as long as `self`, and aligned; every
        // bit pattern is valid for what is made of atomics.
        (slot < SLOTS).then(|| unsafe { &*self.base.as_ptr().wrapping_add(page_offset(slot)).cast::<Page>() })
    }
}

impl AsFd for Pages {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the range is what `map` mapped, and references into it cannot outlive `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), PAGES) };
    }
}
