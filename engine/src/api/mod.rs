//! What applications import: the module `mod_wsgi`, its events and its reports.

pub(crate) mod events;
pub(crate) mod metrics;
pub(crate) mod module;
pub(crate) mod request_events;
pub(crate) mod server_metrics;
