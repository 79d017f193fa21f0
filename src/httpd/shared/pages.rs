//! The pages of a process group: what its daemons write, and Apache children count.

use std::io;
use std::os::fd::BorrowedFd;

use wsgi_unix::shared_memory;
use wsgi_wire::table::{PAGES, Page, SLOTS, page_offset};

use super::memory::Memory;

/// The pages of one group. All zero is a value without pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Pages {
    /// The group's key in the table.
    pub group: u64,
    memory: Memory,
}

impl Pages {
    /// The value without pages.
    pub const NONE: Self = Self { group: 0, memory: Memory::NONE };

    /// Makes empty pages for the group with this key.
    ///
    /// # Errors
    /// If there are no more descriptors or memory.
    pub fn create(group: u64) -> io::Result<Self> {
        Ok(Self { group, memory: Memory::map(shared_memory::create(c"mod_wsgi-pages", PAGES)?, PAGES)? })
    }

    /// Whether there are any: false for zeroed memory.
    pub fn is_mapped(&self) -> bool {
        self.memory.is_mapped()
    }

    /// The descriptor, for the supervisor.
    pub fn fd(&self) -> BorrowedFd<'static> {
        self.memory.fd()
    }

    /// The page of the process in a slot; `None` beyond the last.
    pub fn page(&self, slot: usize) -> Option<&'static Page> {
        // SAFETY: within the mapping and aligned, atomics, for which all bytes are valid; the pages stay as long as a
        // configuration has their group.
        (slot < SLOTS && self.is_mapped()).then(|| unsafe { self.memory.at(page_offset(slot)) })
    }

    /// Gives the memory back.
    ///
    /// # Safety
    /// No configuration that is in force in this process has the group.
    pub unsafe fn release(&mut self) {
        // SAFETY: the caller's duty.
        unsafe { std::mem::replace(self, Self::NONE).memory.unmap() };
    }
}
