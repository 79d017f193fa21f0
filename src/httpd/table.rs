//! `apr_table_t`: ordered, case-insensitive, possibly with repeated keys.

use std::ffi::CStr;
use std::marker::PhantomData;

use super::bytes;
use super::pool::Pool;
use super::sys::{self, apr_table_entry_t, apr_table_t};

/// A table of a request, to be read. While it is borrowed (`'t`) nobody can get a [`TableMut`] of the same request: an
/// entry that is added moves the others in memory. The strings in it live as long as the request (`'r`).
#[derive(Clone, Copy)]
pub struct Table<'t, 'r> {
    raw: *mut apr_table_t,
    life: PhantomData<(&'t (), &'r ())>,
}

impl<'t, 'r> Table<'t, 'r> {
    /// # Safety
    /// `raw` is a table that this thread alone uses, that nobody changes during `'t`, and whose strings live for `'r`.
    pub(super) unsafe fn from_raw(raw: *mut apr_table_t) -> Self {
        Self { raw, life: PhantomData }
    }

    /// The first value of a key.
    pub fn get(self, key: &CStr) -> Option<&'r [u8]> {
        // SAFETY: the table lives for 't.
        let value = unsafe { sys::apr_table_get(self.raw, key.as_ptr()) };
        // SAFETY: values are strings in the request's memory (S1, S6).
        unsafe { bytes(value) }
    }

    /// All entries in order.
    pub fn iter(self) -> Entries<'t, 'r> {
        // SAFETY: the table lives for 't.
        let array = unsafe { sys::apr_table_elts(self.raw) };
        // SAFETY: the table's array header is its first member and lives as long as the table.
        let array = unsafe { &*array };
        Entries {
            next: array.elts.cast::<apr_table_entry_t>(),
            left: usize::try_from(array.nelts).unwrap_or(0),
            life: PhantomData,
        }
    }
}

/// A table of a request, to be changed.
pub struct TableMut<'t, 'r> {
    raw: *mut apr_table_t,
    pool: Pool<'r>,
    life: PhantomData<&'t mut ()>,
}

impl<'r> TableMut<'_, 'r> {
    /// # Safety
    /// `raw` is a table that this thread alone uses and that nobody else looks at during the first lifetime; `pool` is
    /// the one its entries may live in.
    pub(super) unsafe fn from_raw(raw: *mut apr_table_t, pool: Pool<'r>) -> Self {
        Self { raw, pool, life: PhantomData }
    }

    /// Replaces all values of a key.
    pub fn set(&mut self, key: &'static CStr, value: &'r CStr) {
        // SAFETY: both strings outlive the table.
        unsafe { sys::apr_table_setn(self.raw, key.as_ptr(), value.as_ptr()) };
    }

    /// Adds a value, keeping those that are there; copies both.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        let (key, value) = (self.pool.text(key), self.pool.text(value));
        // SAFETY: both copies live in the pool of the table.
        unsafe { sys::apr_table_addn(self.raw, key.as_ptr(), value.as_ptr()) };
    }

    /// Replaces all values of a key; copies both.
    pub fn replace(&mut self, key: &[u8], value: &[u8]) {
        let (key, value) = (self.pool.text(key), self.pool.text(value));
        // SAFETY: both copies live in the pool of the table.
        unsafe { sys::apr_table_setn(self.raw, key.as_ptr(), value.as_ptr()) };
    }

    /// Removes all values of a key.
    pub fn unset(&mut self, key: &CStr) {
        // SAFETY: the table is alive and only looked at through this.
        unsafe { sys::apr_table_unset(self.raw, key.as_ptr()) };
    }
}

/// Iterator over a table.
pub struct Entries<'t, 'r> {
    next: *const apr_table_entry_t,
    left: usize,
    life: PhantomData<(&'t (), &'r ())>,
}

impl<'r> Iterator for Entries<'_, 'r> {
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
