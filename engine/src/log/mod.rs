//! Records that belong to no request, and texts for records.
//!
//! Knows how these records leave the process, and in which order. Must not know requests, whose records travel with
//! their responses, nor who writes.

#[cfg_attr(windows, path = "windows/order.rs")]
pub(crate) mod order;
pub(crate) mod outside;
pub(crate) mod record;
#[cfg(unix)]
pub(crate) mod supervisor;
pub(crate) mod traceback;
