//! The process groups: what children know of them, how the parent configures them and starts their supervisor, and the
//! records that come from them.
//!
//! Knows directives, httpd and what the relay needs of a group. Must not know requests.
#![forbid(unsafe_code)]

pub mod configure;
pub mod installation;
pub mod parent;
pub mod records;
mod runtime;

pub use self::runtime::{Group, Runtime, current, groups, set_current};
