//! Where httpd keeps our settings: one record for each server, one for each directory-like section. Which types these
//! are is for `module/settings.rs` to say.

use std::ffi::{c_char, c_void};

use super::pool::Pool;
use super::request::Request;
use super::server::Server;
use super::sys::{ap_conf_vector_t, apr_pool_t, conn_rec, server_rec};
use super::{guard, index};

/// Settings of ours for a server or a directory-like section.
pub trait Record: Default + Clone {
    /// These settings with those of a more specific place over them.
    fn merged(&self, over: &Self) -> Self;
}

/// The settings of a directory-like section.
///
/// # Safety
/// No other type implements it, and the module record has [`create_directory`] and [`merge_directory`] of this type.
pub unsafe trait DirectoryRecord: Record {}

/// The settings of a server.
///
/// # Safety
/// No other type implements it, and the module record has [`create_server`] and [`merge_server`] of this type.
pub unsafe trait ServerRecord: Record {}

impl<'r> Request<'r> {
    /// The settings in force for this request; `None` if they could not be made.
    pub fn settings<T: DirectoryRecord>(&self) -> Option<&'r T> {
        // SAFETY: S1; a `DirectoryRecord` is what the callbacks below have made for this slot.
        let settings = unsafe { slot::<T>(self.rec().per_dir_config) };
        // SAFETY: S3: null after a panic, or a record that lives as long as the configuration of this request.
        unsafe { settings.as_ref() }
    }
}

impl<'s> Server<'s> {
    /// The settings of this server; `None` if they could not be made.
    pub fn settings<T: ServerRecord>(self) -> Option<&'s T> {
        // SAFETY: S5; a `ServerRecord` is what the callbacks below have made for this slot.
        let settings = unsafe { slot::<T>(self.rec().module_config) };
        // SAFETY: S3: null after a panic, or a record that lives as long as the server.
        unsafe { settings.as_ref() }
    }

    /// The settings of this server while directives change them.
    ///
    /// # Safety
    /// S4: called while a directive is processed, and only one of the references is alive.
    pub(crate) unsafe fn settings_mut<T: ServerRecord>(self) -> Option<&'s mut T> {
        // SAFETY: S5; a `ServerRecord` is what the callbacks below have made for this slot.
        let settings = unsafe { slot::<T>(self.rec().module_config) };
        // SAFETY: S3: null after a panic, or a record that lives as long as the server; that nobody else has it is the
        // caller's duty.
        unsafe { settings.as_mut() }
    }
}

/// # Safety
/// `vector` is a vector of httpd whose record for this module, if any, is a `T`.
unsafe fn slot<T>(vector: *mut ap_conf_vector_t) -> *mut T {
    // Before httpd has given one, what is at any place is another module's.
    let Ok(index) = usize::try_from(index::get()) else { return std::ptr::null_mut() };
    // SAFETY: a configuration vector is an array with one pointer for each module, as `ap_get_module_config` reads it.
    unsafe { *vector.cast::<*mut c_void>().wrapping_add(index) }.cast::<T>()
}

/// What this module has put into a connection; null if nothing.
///
/// # Safety
/// The connection lives, and is this thread's.
pub(super) unsafe fn of_connection(connection: *mut conn_rec) -> *mut c_void {
    // SAFETY: the caller's duty.
    let vector = unsafe { (*connection).conn_config };
    // SAFETY: each connection has its vector, in which our place has what we have put there.
    unsafe { slot(vector) }
}

/// Puts something into a connection.
///
/// # Safety
/// As [`of_connection`].
pub(super) unsafe fn set_of_connection(connection: *mut conn_rec, value: *mut c_void) {
    let Ok(index) = usize::try_from(index::get()) else { return };
    // SAFETY: the caller's duty.
    let vector = unsafe { (*connection).conn_config };
    // SAFETY: as in `slot`.
    unsafe { *vector.cast::<*mut c_void>().wrapping_add(index) = value };
}

pub(crate) unsafe extern "C" fn create_directory<T: DirectoryRecord>(
    pool: *mut apr_pool_t,
    _path: *mut c_char,
) -> *mut c_void {
    // SAFETY: httpd hands over the pool that the record is to live in.
    guard::enter("create_dir_config", || unsafe { create::<T>(pool) })
}

pub(crate) unsafe extern "C" fn merge_directory<T: DirectoryRecord>(
    pool: *mut apr_pool_t,
    base: *mut c_void,
    over: *mut c_void,
) -> *mut c_void {
    // SAFETY: as in `create_directory`; S3: both records come from the callbacks of this file, or are null after a
    // panic there.
    guard::enter("merge_dir_config", || unsafe { merge::<T>(pool, base, over) })
}

pub(crate) unsafe extern "C" fn create_server<T: ServerRecord>(
    pool: *mut apr_pool_t,
    _server: *mut server_rec,
) -> *mut c_void {
    // SAFETY: as in `create_directory`.
    guard::enter("create_server_config", || unsafe { create::<T>(pool) })
}

pub(crate) unsafe extern "C" fn merge_server<T: ServerRecord>(
    pool: *mut apr_pool_t,
    base: *mut c_void,
    over: *mut c_void,
) -> *mut c_void {
    // SAFETY: as in `merge_directory`.
    guard::enter("merge_server_config", || unsafe { merge::<T>(pool, base, over) })
}

/// # Safety
/// `pool` outlives all users of the record.
unsafe fn create<T: Record>(pool: *mut apr_pool_t) -> *mut c_void {
    // SAFETY: the caller's duty.
    unsafe { Pool::from_raw(pool) }.keep(T::default()).cast()
}

/// # Safety
/// `pool` outlives all users of the record; `base` and `over` are null or a `T`.
unsafe fn merge<T: Record>(pool: *mut apr_pool_t, base: *mut c_void, over: *mut c_void) -> *mut c_void {
    // SAFETY: the caller's duty.
    let base = unsafe { base.cast::<T>().as_ref() };
    // SAFETY: the caller's duty.
    let over = unsafe { over.cast::<T>().as_ref() };
    let merged = match (base, over) {
        (Some(base), Some(over)) => base.merged(over),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => T::default(),
    };
    // SAFETY: the caller's duty.
    unsafe { Pool::from_raw(pool) }.keep(merged).cast()
}
