//! The process table: a memory file that Apache's children inherit, mapped once and for good.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::Ordering;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use wsgi_wire::table::{self, Header, SLOTS, Slot};

/// The mapped table. Copies refer to the same memory, which stays mapped until the process ends. All zero is no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SharedTable {
    base: *const u8,
    fd: RawFd,
}

// SAFETY: everything in the memory is atomic, and it is never unmapped.
unsafe impl Send for SharedTable {}
// SAFETY: as above.
unsafe impl Sync for SharedTable {}

impl SharedTable {
    /// Makes and maps an empty table.
    ///
    /// # Errors
    /// Those of `memfd_create`, `ftruncate` and `mmap`.
    pub fn create() -> io::Result<Self> {
        let file: OwnedFd = memfd_create(c"mod_wsgi", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, table::SIZE as u64)?;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of ours.
        let base = unsafe {
            mmap(ptr::null_mut(), table::SIZE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file.as_fd(), 0)?
        };
        Ok(Self { base: base.cast_const().cast(), fd: file.into_raw_fd() })
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
    pub fn slot(&self, index: usize) -> Option<&'static Slot> {
        // SAFETY: within the mapping, at the beginning of a page; `Slot` is atomics, for which all bytes are valid.
        (index < SLOTS).then(|| unsafe { &*self.base.add(table::offset(index)).cast::<Slot>() })
    }

    /// The slots that have ever been in use.
    pub fn slots(&self) -> impl Iterator<Item = &'static Slot> + Clone {
        let used = (self.header().used.load(Ordering::Acquire) as usize).min(SLOTS);
        let table = *self;
        (0..used).filter_map(move |i| table.slot(i))
    }
}
