//! Safe views of what httpd hands to a module.
//!
//! Knows httpd's records and functions. Must not know directives, process groups or hooks: those who do give it
//! functions and types.
//!
//! Where the system is Windows, `windows/` has other ways, or none, for what only daemon processes need.
//!
//! This directory, and `module/` for the way in, alone use the raw bindings, and with them `unsafe`.
//!
//! The facts of httpd that the SAFETY lines rest on:
//!
//! * **S1** A hook gets a live `request_rec` that its thread owns until the hook returns; all pointers in it live as
//!   long as its pool.
//! * **S2** httpd writes to a module record only while it is single-threaded (loading and configuration).
//! * **S3** A configuration record is made by our `create_*` or `merge_*` callback and lives as long as the pool it was
//!   made in.
//! * **S4** While a directive is processed httpd runs one thread; nobody else holds a reference to the record that it
//!   is stored in (for `.htaccess`: the record of this request alone).
//! * **S5** `server_rec`s and `ap_server_conf` live from the configuration until the next one, longer than any request
//!   or hook.
//! * **S6** Strings of httpd are NUL-terminated, or null where this is said.
//! * **S7** A pool's memory lives until the pool is cleared; cleanups run before that, the newest first.
//! * **S8** `ap_listeners` is changed by the parent's only thread alone, from the reading of the configuration to the
//!   hook `open_logs`; its records, their sockets and addresses are in the pool of the process.
#![deny(clippy::multiple_unsafe_ops_per_block)]

pub mod auth;
pub mod body;
mod brigade;
pub mod config;
#[cfg_attr(windows, path = "windows/control.rs")]
pub mod control;
#[cfg_attr(windows, path = "windows/error_log.rs")]
mod error_log;
mod error_page;
#[cfg_attr(windows, path = "windows/file_content.rs")]
pub mod file_content;
pub mod guard;
#[cfg_attr(windows, path = "windows/identity.rs")]
pub mod identity;
pub mod index;
pub mod json_log;
#[cfg(unix)]
pub mod listeners;
pub mod log;
#[cfg(unix)]
mod passed;
#[cfg(unix)]
#[cfg(unix)]
mod plain;
pub mod pool;
pub mod process;
#[cfg(unix)]
pub mod records;
pub mod regex;
pub mod request;
pub mod response;
pub mod scoreboard;
pub mod server;
#[cfg(unix)]
pub mod shared;
#[cfg_attr(windows, path = "windows/socket.rs")]
pub mod socket;
pub mod suspended;
pub mod sys;
pub mod table;
pub mod tree;
pub mod upgraded;
pub mod user;

use std::ffi::{CStr, c_char};

/// What a hook answers. The numbers are httpd's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookStatus {
    /// The hook has done its work.
    Ok,
    /// Not ours: the next module is asked.
    Declined,
    /// The request is not over, and its connection is another's.
    Suspended,
    /// The request ends with this HTTP status.
    Status(u16),
}

impl HookStatus {
    pub(crate) fn code(self) -> i32 {
        match self {
            HookStatus::Ok => sys::OK,
            HookStatus::Declined => sys::DECLINED,
            HookStatus::Suspended => sys::SUSPENDED,
            HookStatus::Status(status) => status.into(),
        }
    }
}

/// The bytes of a string that httpd owns, `None` for null.
///
/// # Safety
/// `text` is null or a string that lives for `'a`.
pub(crate) unsafe fn bytes<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller's duty, and S6.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}
