//! Memory with httpd's lifetimes.

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::mem::{align_of, size_of};

use super::guard;
use super::sys::{self, apr_pool_t};

/// A pool that lives for `'p`.
#[derive(Clone, Copy)]
pub struct Pool<'p> {
    raw: *mut apr_pool_t,
    life: PhantomData<&'p ()>,
}

impl<'p> Pool<'p> {
    /// # Safety
    /// `raw` is a pool that lives for `'p` and is used by this thread only.
    pub(crate) unsafe fn from_raw(raw: *mut apr_pool_t) -> Self {
        Self { raw, life: PhantomData }
    }

    pub(super) fn raw(self) -> *mut apr_pool_t {
        self.raw
    }

    /// A copy of the bytes with a NUL behind. A NUL inside would cut the string for C: what is behind it is left out.
    pub fn text(self, bytes: &[u8]) -> &'p CStr {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        // SAFETY: the slice has at least `end` bytes.
        let copy = unsafe { sys::apr_pstrmemdup(self.raw, bytes.as_ptr().cast::<c_char>(), end) };
        // SAFETY: it lives as long as the pool (S7) and has its NUL behind the bytes.
        unsafe { CStr::from_ptr(copy) }
    }

    /// Moves a value into the pool; it is dropped when the pool is cleared.
    pub(super) fn keep<T>(self, value: T) -> *mut T {
        const { assert!(align_of::<T>() <= 8, "apr_palloc aligns to eight bytes") };
        // SAFETY: apr_palloc gives size_of::<T>() bytes aligned to eight, or aborts the process as httpd's pools do.
        let place = unsafe { sys::apr_palloc(self.raw, size_of::<T>()) }.cast::<T>();
        // SAFETY: `place` is memory for one T that nobody else knows.
        unsafe { place.write(value) };
        let (data, nothing) = (place.cast::<c_void>(), sys::apr_pool_cleanup_null);
        // SAFETY: the cleanup drops the value once, before the memory goes (S7).
        unsafe { sys::apr_pool_cleanup_register(self.raw, data, Some(drop_value::<T>), Some(nothing)) };
        place
    }

    /// The pool that this one is a part of; itself if there is none.
    pub fn parent(self) -> Self {
        // SAFETY: the pool lives, and its parent lives longer.
        let parent = unsafe { sys::apr_pool_parent_get(self.raw) };
        if parent.is_null() { self } else { Self { raw: parent, ..self } }
    }

    /// Runs `action` when the pool is cleared (and not in processes forked from this one that exec).
    pub fn at_end(self, action: fn()) {
        // SAFETY: a function pointer fits into `data`, and `call` turns it back.
        unsafe {
            sys::apr_pool_cleanup_register(
                self.raw,
                action as *const c_void,
                Some(call),
                Some(sys::apr_pool_cleanup_null),
            );
        }
    }
}

/// An action that runs before a pool is cleared and anything in it, such as open files, is touched.
#[derive(Clone, Copy)]
pub struct BeforeEnd {
    pool: *mut apr_pool_t,
    action: fn(),
}

// SAFETY: both members are addresses, and `forget` says who may use them.
unsafe impl Send for BeforeEnd {}

impl BeforeEnd {
    /// Runs `action` before the pool is cleared.
    pub fn register(pool: Pool<'_>, action: fn()) -> Self {
        // SAFETY: a function pointer fits into `data`, and `call` turns it back.
        unsafe { sys::apr_pool_pre_cleanup_register(pool.raw, action as *const c_void, Some(call)) };
        Self { pool: pool.raw, action }
    }

    /// Unregisters the action.
    ///
    /// # Safety
    /// The pool has not been destroyed, and no other thread uses it.
    pub(crate) unsafe fn forget(self) {
        // SAFETY: the caller's duty; an action that is not registered any more changes nothing.
        unsafe { sys::apr_pool_cleanup_kill(self.pool, self.action as *const c_void, Some(call)) };
    }
}

unsafe extern "C" fn drop_value<T>(value: *mut c_void) -> sys::apr_status_t {
    guard::enter("pool cleanup", || {
        // SAFETY: registered by `keep` with a T that is still in place; APR runs a cleanup once.
        unsafe { value.cast::<T>().drop_in_place() };
    });
    0
}

unsafe extern "C" fn call(action: *mut c_void) -> sys::apr_status_t {
    guard::enter("pool cleanup", || {
        // SAFETY: registered by `at_end` or `BeforeEnd::register` with a `fn()`.
        let action = unsafe { std::mem::transmute::<*mut c_void, fn()>(action) };
        action();
    });
    0
}
