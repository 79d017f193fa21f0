//! Where httpd keeps our settings: one record for each server, one for each directory-like section.

use std::ffi::{c_char, c_void};

use super::guard;
use super::pool::Pool;
use super::request::Request;
use super::server::Server;
use super::sys::{ap_conf_vector_t, apr_pool_t, server_rec};
use crate::directives::settings::{RequestSettings, ServerSettings};
use crate::module;

impl<'r> Request<'r> {
    /// The settings in force for this request; `None` if they could not be made.
    pub fn settings(&self) -> Option<&'r RequestSettings> {
        // SAFETY: S3; the record was made by the callbacks below for this slot.
        unsafe { slot::<RequestSettings>(self.rec().per_dir_config).as_ref() }
    }
}

impl<'s> Server<'s> {
    /// The settings of this server; `None` if they could not be made.
    pub fn settings(self) -> Option<&'s ServerSettings> {
        // SAFETY: S3, S5.
        unsafe { slot::<ServerSettings>((*self.raw()).module_config).as_ref() }
    }

    /// The settings of this server while directives change them.
    ///
    /// # Safety
    /// S4: called while a directive is processed, and only one of the references is alive.
    pub(crate) unsafe fn settings_mut(self) -> Option<&'s mut ServerSettings> {
        // SAFETY: the caller's duty, S3.
        unsafe { slot::<ServerSettings>((*self.raw()).module_config).as_mut() }
    }
}

/// # Safety
/// `vector` is a vector of httpd whose record for this module, if any, is a `T`.
unsafe fn slot<T>(vector: *mut ap_conf_vector_t) -> *mut T {
    let index = usize::try_from(module::index()).unwrap_or(0);
    // SAFETY: a configuration vector is an array with one pointer for each module, as `ap_get_module_config` reads it.
    unsafe { *vector.cast::<*mut c_void>().add(index) }.cast::<T>()
}

pub(crate) unsafe extern "C" fn create_directory(pool: *mut apr_pool_t, _path: *mut c_char) -> *mut c_void {
    guard::enter("create_dir_config", || {
        // SAFETY: httpd hands over the pool that the record is to live in.
        unsafe { Pool::from_raw(pool) }.keep(RequestSettings::default()).cast()
    })
}

pub(crate) unsafe extern "C" fn merge_directory(
    pool: *mut apr_pool_t,
    base: *mut c_void,
    over: *mut c_void,
) -> *mut c_void {
    guard::enter("merge_dir_config", || {
        // SAFETY: S3: both come from the callbacks of this file, or are null after a panic there.
        let (base, over) =
            unsafe { (base.cast::<RequestSettings>().as_ref(), over.cast::<RequestSettings>().as_ref()) };
        let merged = match (base, over) {
            (Some(base), Some(over)) => base.overlay(over),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => RequestSettings::default(),
        };
        // SAFETY: as in `create_directory`.
        unsafe { Pool::from_raw(pool) }.keep(merged).cast()
    })
}

pub(crate) unsafe extern "C" fn create_server(pool: *mut apr_pool_t, _server: *mut server_rec) -> *mut c_void {
    guard::enter("create_server_config", || {
        // SAFETY: as in `create_directory`.
        unsafe { Pool::from_raw(pool) }.keep(ServerSettings::default()).cast()
    })
}

pub(crate) unsafe extern "C" fn merge_server(
    pool: *mut apr_pool_t,
    base: *mut c_void,
    over: *mut c_void,
) -> *mut c_void {
    guard::enter("merge_server_config", || {
        // SAFETY: S3, as in `merge_directory`.
        let (base, over) = unsafe { (base.cast::<ServerSettings>().as_ref(), over.cast::<ServerSettings>().as_ref()) };
        let merged = match (base, over) {
            (Some(base), Some(over)) => base.merge(over),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => ServerSettings::default(),
        };
        // SAFETY: as in `create_directory`.
        unsafe { Pool::from_raw(pool) }.keep(merged).cast()
    })
}
