//! The process table, mapped.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;

use wsgi_wire::table::{
    Entry, GROUPS, Group, Header, Page, SIZE, SLOTS, Slot, entry_offset, group_offset, page_offset,
};

/// The whole table, shared with the Apache parent, its children and, page by page, the daemons.
#[derive(Debug)]
pub struct Table {
    base: NonNull<u8>,
    /// To be handed to daemons.
    pub file: OwnedFd,
}

impl Table {
    /// Maps the memory file.
    ///
    /// # Errors
    /// If it is not as long as a table, or cannot be mapped.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        if file.metadata()?.len() < SIZE as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the process table is too short"));
        }
        let file = OwnedFd::from(file);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses an address where nothing is mapped; the file has SIZE bytes, and whoever made it never shortens it.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { base, file })
    }

    /// The table's header.
    pub fn header(&self) -> &Header {
        // SAFETY: the mapping lives as long as `self`, a page is aligned for it, and every bit pattern is a valid Header of atomics.
        unsafe { self.base.cast().as_ref() }
    }

    /// A slot, or `None` beyond the last.
    pub fn slot(&self, index: usize) -> Option<Slot<'_>> {
        // SAFETY: for an index below SLOTS both are inside the mapping and aligned; every bit pattern is valid for what is made of atomics.
        (index < SLOTS).then(|| unsafe {
            let entry = self.base.add(entry_offset(index)).cast::<Entry>().as_ref();
            Slot { entry, page: self.base.add(page_offset(index)).cast::<Page>().as_ref() }
        })
    }

    /// The record of the group with this key ([`wsgi_wire::table::group_key`]).
    pub fn group(&self, key: u64) -> Option<&Group> {
        let used = (self.header().groups.load(Relaxed) as usize).min(GROUPS);
        // SAFETY: `group_offset` of an index below GROUPS is inside the mapping and aligned; every bit pattern is a valid Group of atomics.
        let record = |index| unsafe { self.base.add(group_offset(index)).cast::<Group>().as_ref() };
        (0..used).map(record).find(|group| group.is_used() && group.key() == key)
    }

    /// All slots with their indexes.
    pub fn slots(&self) -> impl Iterator<Item = (usize, Slot<'_>)> {
        (0..SLOTS).filter_map(|index| Some((index, self.slot(index)?)))
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: the range is what `map` mapped, and references into it cannot outlive `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), SIZE) };
    }
}
