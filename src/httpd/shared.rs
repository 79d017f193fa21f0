//! The process table: a memory file that Apache's children inherit, mapped once and for good.

mod memory;
pub mod pages;
pub mod scoreboard;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use wsgi_unix::shared_memory as files;
use wsgi_wire::table::{self, Entry, GROUPS, Group, Header, SIZE, SLOTS, Slot};

use self::memory::Memory;
use self::pages::Pages;

/// The mapped table. Copies refer to the same memory, which stays mapped until the process ends. All zero is no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SharedTable {
    memory: Memory,
}

impl SharedTable {
    /// Makes and maps an empty table.
    ///
    /// # Errors
    /// Those of `memfd_create`, `ftruncate`, `fcntl` and `mmap`.
    pub fn create() -> io::Result<Self> {
        let table = Self { memory: Memory::map(files::create(c"mod_wsgi-table", SIZE)?, SIZE)? };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        table.header().started.store(now.as_secs(), Ordering::Relaxed);
        Ok(table)
    }

    /// Whether there is a table: false for zeroed memory.
    pub fn is_mapped(&self) -> bool {
        self.memory.is_mapped()
    }

    /// The descriptor of the table, for the supervisor and nobody else.
    pub fn fd(&self) -> BorrowedFd<'static> {
        self.memory.fd()
    }

    /// What stands before the slots.
    pub fn header(&self) -> &'static Header {
        // SAFETY: at the beginning of the mapping; `Header` is atomics, for which all bytes are valid; the table stays
        // until the process ends.
        unsafe { self.memory.at(0) }
    }

    fn entry(&self, slot: usize) -> Option<&'static Entry> {
        // SAFETY: within the mapping and aligned as the layout says, and atomics, for which all bytes are valid; the
        // table stays.
        (slot < SLOTS).then(|| unsafe { self.memory.at(table::entry_offset(slot)) })
    }

    /// The record of a process group; `None` beyond the last.
    pub fn group(&self, index: usize) -> Option<&'static Group> {
        // SAFETY: within the mapping, aligned for it as a record's size is, and atomics, for which all bytes are valid;
        // the table stays.
        (index < GROUPS).then(|| unsafe { self.memory.at(table::group_offset(index)) })
    }

    /// Gives each group of a new configuration its record. `None` if there are more groups than records.
    pub fn assign(&self, names: &[&[u8]], generation: u32) -> Option<Vec<&'static Group>> {
        let header = self.header();
        // As many free records as may be needed, and no more, so that unused memory is not touched.
        let used = (header.groups.load(Ordering::Relaxed) as usize + names.len()).min(GROUPS);
        let table = *self;
        let assigned = table::group::assign((0..used).filter_map(move |i| table.group(i)), names, generation)?;
        let last = (0..used).rfind(|i| table.group(*i).is_some_and(|record| record.is_used()));
        header.groups.fetch_max(last.map_or(0, |i| i as u32 + 1), Ordering::Relaxed);
        header.generation.store(generation, Ordering::Release);
        Some(assigned)
    }

    /// Begins to count requests in flight anew, because an Apache child has died with some of them. Those that are
    /// there now are not counted until they end, which makes processes look less busy than they are for that long.
    /// Queues notice by themselves that nobody is there.
    pub fn forget_requests(&self, groups: impl Iterator<Item = Pages>) {
        for pages in groups {
            let own = self.slots(pages).filter(|slot| slot.is_of(pages.group));
            own.for_each(|slot| {
                slot.page.in_flight.store(0, Ordering::Relaxed);
                slot.page.websockets.recount();
            });
        }
    }

    /// The slots that have ever been in use, as a group sees them: the pages of those that are not its own say nothing.
    pub fn slots(&self, pages: Pages) -> impl Iterator<Item = Slot<'static>> + Clone {
        let used = (self.header().used.load(Ordering::Acquire) as usize).min(SLOTS);
        let table = *self;
        (0..used).filter_map(move |i| Some(Slot { entry: table.entry(i)?, page: pages.page(i)? }))
    }
}
