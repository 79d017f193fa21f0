//! Records that belong to no request, and texts for records.
//!
//! Knows how these records leave the process, and in which order. Must not know requests, whose records travel with
//! their responses, nor who writes.

pub(crate) mod order;
pub(crate) mod outside;
pub(crate) mod record;
pub(crate) mod traceback;
