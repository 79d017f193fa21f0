//! What is logged outside of requests.

pub(crate) mod order;
pub(crate) mod outside;
pub(crate) mod record;
pub(crate) mod traceback;
