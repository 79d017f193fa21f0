//! `apr_table_t`: ordered, case-insensitive, possibly with repeated keys.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::bytes;
use super::pool::Pool;
use super::sys::{self, apr_table_entry_t, apr_table_t};

/// A table of a request.
#[derive(Clone, Copy)]
pub struct Table<'r> {
    raw: *mut apr_table_t,
    pool: Pool<'r>,
}

impl<'r> Table<'r> {
    /// # Safety
    /// `raw` is a table that lives for `'r` and is used by this thread only; `pool` is the one its entries may live in.
    pub(super) unsafe fn from_raw(raw: *mut apr_table_t, pool: Pool<'r>) -> Self {
        Self { raw, pool }
    }

    /// The first value of a key.
    pub fn get(self, key: &CStr) -> Option<&'r [u8]> {
        // SAFETY: the table lives for 'r, values are strings in the request's memory (S1, S6).
        unsafe { bytes(sys::apr_table_get(self.raw, key.as_ptr())) }
    }

    /// Replaces all values of a key.
    pub fn set(self, key: &'static CStr, value: &'r CStr) {
        // SAFETY: both strings outlive the table.
        unsafe { sys::apr_table_setn(self.raw, key.as_ptr(), value.as_ptr()) };
    }

    /// Adds a value, keeping those that are there; copies both.
    pub fn add(self, key: &[u8], value: &[u8]) {
        let (key, value) = (self.pool.text(key), self.pool.text(value));
        // SAFETY: both copies live in the pool of the table.
        unsafe { sys::apr_table_addn(self.raw, key.as_ptr(), value.as_ptr()) };
    }

    /// Replaces all values of a key; copies both.
    pub fn replace(self, key: &[u8], value: &[u8]) {
        let (key, value) = (self.pool.text(key), self.pool.text(value));
        // SAFETY: both copies live in the pool of the table.
        unsafe { sys::apr_table_setn(self.raw, key.as_ptr(), value.as_ptr()) };
    }

    /// Removes all values of a key.
    pub fn unset(self, key: &CStr) {
        // SAFETY: the table lives for 'r.
        unsafe { sys::apr_table_unset(self.raw, key.as_ptr()) };
    }

    /// All entries in order. The table must not be changed meanwhile, which the borrow of nothing else can show: callers only read.
    pub fn iter(self) -> Entries<'r> {
        // SAFETY: the table's array header is its first member and lives as long as the table.
        let array = unsafe { &*sys::apr_table_elts(self.raw) };
        Entries {
            next: array.elts.cast::<apr_table_entry_t>(),
            left: usize::try_from(array.nelts).unwrap_or(0),
            life: PhantomData,
        }
    }
}

/// Iterator over a table.
pub struct Entries<'r> {
    next: *const apr_table_entry_t,
    left: usize,
    life: PhantomData<&'r ()>,
}

impl<'r> Iterator for Entries<'r> {
    type Item = (&'r [u8], &'r [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 {
            self.left -= 1;
            // SAFETY: `left` counted this entry as one of the array's; its strings live with the request (S1).
            let entry = unsafe { &*self.next };
            // SAFETY: at most one behind the array's end.
            self.next = unsafe { self.next.add(1) };
            // SAFETY: as above, S6.
            if let Some(key) = unsafe { bytes(entry.key) } {
                // SAFETY: as above, S6.
                return Some((key, unsafe { bytes(entry.val) }.unwrap_or(b"")));
            }
        }
        None
    }
}
