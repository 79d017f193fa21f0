//! The process table: a memory file that Apache's children inherit, mapped once and for good.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, MemfdFlags, SealFlags, fcntl_add_seals, fcntl_lock, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use wsgi_wire::scoreboard::{self, Board};
use wsgi_wire::table::{self, Entry, GROUPS, Group, Header, Page, SLOTS, Slot};

/// The mapped table. Copies refer to the same memory, which stays mapped until the process ends. All zero is no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SharedTable {
    base: *mut u8,
    size: usize,
    fd: RawFd,
}

// SAFETY: everything in the memory is atomic, and it is never unmapped.
unsafe impl Send for SharedTable {}
// SAFETY: as above.
unsafe impl Sync for SharedTable {}

impl SharedTable {
    /// Makes and maps an empty table, with a board behind it for the scoreboard of a server with these limits. Its length is sealed: daemons get its
    /// descriptor, and whoever has mapped a file that becomes shorter dies of SIGBUS.
    ///
    /// # Errors
    /// Those of `memfd_create`, `ftruncate`, `fcntl` and `mmap`.
    pub fn create((server_limit, thread_limit): (u32, u32)) -> io::Result<Self> {
        let size = scoreboard::CONTENT + scoreboard::capacity(server_limit, thread_limit);
        let file: OwnedFd = memfd_create(c"mod_wsgi", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, size as u64)?;
        fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours.
        let base = unsafe {
            mmap(ptr::null_mut(), size, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file.as_fd(), 0)?
        };
        let table = Self { base: base.cast(), size, fd: file.into_raw_fd() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        table.header().started.store(now.as_secs(), Ordering::Relaxed);
        Ok(table)
    }

    /// Whether there is a table: false for zeroed memory.
    pub fn is_mapped(&self) -> bool {
        !self.base.is_null()
    }

    /// Its descriptor, for the supervisor.
    pub fn fd(&self) -> BorrowedFd<'static> {
        // SAFETY: `create` keeps the descriptor open for good.
        unsafe { BorrowedFd::borrow_raw(self.fd) }
    }

    /// What stands before the slots.
    pub fn header(&self) -> &'static Header {
        // SAFETY: the first page of the mapping, which is page-aligned and stays; `Header` is atomics, for which all bytes are valid.
        unsafe { &*self.base.cast::<Header>() }
    }

    /// A slot; `None` beyond the table's end.
    pub fn slot(&self, index: usize) -> Option<Slot<'static>> {
        // SAFETY: both within the mapping and aligned as the layout says; they are atomics, for which all bytes are valid.
        (index < SLOTS).then(|| unsafe {
            let entry = &*self.base.add(table::entry_offset(index)).cast::<Entry>();
            Slot { entry, page: &*self.base.add(table::page_offset(index)).cast::<Page>() }
        })
    }

    /// The record of a process group; `None` beyond the last.
    pub fn group(&self, index: usize) -> Option<&'static Group> {
        // SAFETY: within the mapping, aligned for it as a record's size is; `Group` is atomics, for which all bytes are valid.
        (index < GROUPS).then(|| unsafe { &*self.base.add(table::group_offset(index)).cast::<Group>() })
    }

    /// Where daemons ask for Apache's scoreboard.
    pub fn board(&self) -> &'static Board {
        // SAFETY: within the mapping, at the beginning of a page; `Board` is atomics, for which all bytes are valid.
        unsafe { &*self.base.add(scoreboard::BOARD).cast::<Board>() }
    }

    /// Writes an encoded scoreboard down; what does not fit is left out, readers then see that it is not whole.
    pub fn publish(&self, encoded: &[u8]) {
        let length = encoded.len().min(self.size - scoreboard::CONTENT);
        // One child at a time. The lock ends with its process; without it two might write at once, which readers notice.
        let locked = fcntl_lock(self.fd(), FlockOperation::LockExclusive).is_ok();
        let board = self.board();
        let begun = board.published.load(Ordering::Relaxed) | 1;
        board.published.store(begun, Ordering::SeqCst);
        board.length.store(length as u64, Ordering::Relaxed);
        // SAFETY: `length` bytes from there on are within the mapping; readers in other processes copy them and check that nothing was written.
        unsafe { ptr::copy_nonoverlapping(encoded.as_ptr(), self.base.add(scoreboard::CONTENT), length) };
        board.published.store(begun.wrapping_add(1), Ordering::SeqCst);
        if locked {
            // It is ours, so this cannot fail.
            let _ = fcntl_lock(self.fd(), FlockOperation::Unlock);
        }
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

    /// Begins to count requests in flight anew, because an Apache child has died with some of them. Those that are there now are not counted until
    /// they end, which makes processes look less busy than they are for that long. Queues notice by themselves that nobody is there.
    pub fn forget_requests(&self) {
        self.slots().for_each(|slot| slot.page.in_flight.store(0, Ordering::Relaxed));
        let groups = (self.header().groups.load(Ordering::Relaxed) as usize).min(GROUPS);
        (0..groups).filter_map(|index| self.group(index)).for_each(Group::forget_places);
    }

    /// The slots that have ever been in use.
    pub fn slots(&self) -> impl Iterator<Item = Slot<'static>> + Clone {
        let used = (self.header().used.load(Ordering::Acquire) as usize).min(SLOTS);
        let table = *self;
        (0..used).filter_map(move |i| table.slot(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_who_has_its_descriptor_can_change_its_length() {
        let table = SharedTable::create((1, 1)).unwrap();
        for length in [0, 2 * table.size as u64] {
            assert_eq!(ftruncate(table.fd(), length), Err(rustix::io::Errno::PERM));
        }
    }
}
