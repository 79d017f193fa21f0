//! What applications import: the modules `mod_wsgi` and `apache`, events, and the dicts with metrics.
//!
//! Knows the names that applications use. Must not know how an application is called.

pub(crate) mod events;
pub(crate) mod metrics;
pub(crate) mod module;
pub(crate) mod request_events;
pub(crate) mod server_metrics;
