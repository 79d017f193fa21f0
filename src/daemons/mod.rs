//! The process groups: what children know of them, how the parent configures them and starts their supervisor, and the
//! records that come from them.
//!
//! Knows directives, httpd and what the relay needs of a group. Must not know requests.
#![forbid(unsafe_code)]

pub mod configure;
mod current;
#[cfg(unix)]
pub mod installation;
#[cfg(unix)]
pub mod parent;
#[cfg(unix)]
pub mod records;
#[cfg_attr(windows, path = "windows/runtime.rs")]
mod runtime;

pub use self::current::{current, of_child, set_current};
pub use self::runtime::*;
