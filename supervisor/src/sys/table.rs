//! The process table, mapped.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::Ordering::Relaxed;

use wsgi_wire::table::{Entry, GROUPS, Group, Header, SIZE, SLOTS, Slot, entry_offset, group_offset};

use super::pages::Pages;

/// The whole table, shared with the Apache parent and its children, and with nobody else.
#[derive(Debug)]
pub struct Table {
    base: NonNull<u8>,
}

impl Table {
    /// Maps the memory file, and closes it.
    ///
    /// # Errors
    /// If it is not as long as a table, or cannot be mapped.
    pub fn map(file: OwnedFd) -> io::Result<Self> {
        let file = File::from(file);
        if file.metadata()?.len() < SIZE as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the process table is too short"));
        }
        Ok(Self { base: super::map(&file, SIZE)? })
    }

    /// The table's header.
    pub fn header(&self) -> &Header {
        // SAFETY: the mapping lives as long as `self`, a page is aligned for it, and every bit pattern is a valid
        // Header of atomics.
        unsafe { self.base.cast().as_ref() }
    }

    /// The entry of a slot, in which the supervisor writes what is believed of its process; `None` beyond the last.
    pub fn entry(&self, slot: usize) -> Option<&Entry> {
        // SAFETY: for an index below SLOTS it is inside the mapping and aligned; every bit pattern is valid for what is
        // made of atomics.
        (slot < SLOTS).then(|| unsafe { &*self.base.as_ptr().wrapping_add(entry_offset(slot)).cast::<Entry>() })
    }

    /// Returns the slot of a process of the group with these pages, or `None` beyond the last.
    pub fn slot<'t>(&'t self, slot: usize, pages: &'t Pages) -> Option<Slot<'t>> {
        Some(Slot { entry: self.entry(slot)?, page: pages.page(slot)? })
    }

    /// The record of the group with this key ([`wsgi_wire::table::group_key`]).
    pub fn group(&self, key: u64) -> Option<&Group> {
        let used = (self.header().groups.load(Relaxed) as usize).min(GROUPS);
        // SAFETY: `group_offset` of an index below GROUPS is inside the mapping and aligned; every bit pattern is a
        // valid Group of atomics.
        let record = |index| unsafe { &*self.base.as_ptr().wrapping_add(group_offset(index)).cast::<Group>() };
        (0..used).map(record).find(|group| group.is_used() && group.key() == key)
    }

    /// All entries with the indexes of their slots.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        (0..SLOTS).filter_map(|index| Some((index, self.entry(index)?)))
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: the range is what `map` mapped, and references into it cannot outlive `self`.
        unsafe { libc::munmap(self.base.as_ptr().cast(), SIZE) };
    }
}
