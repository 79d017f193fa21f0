//! Which types httpd keeps for us, and what other rooms ask them for.

use wsgi_wire::record::Format;

use crate::directives::settings::{RequestSettings, ServerSettings};
use crate::httpd::config::{DirectoryRecord, Record, ServerRecord};
use crate::httpd::server::Server;

impl Record for RequestSettings {
    fn merged(&self, over: &Self) -> Self {
        self.overlay(over)
    }
}

// SAFETY: the only one, and the one of the module record.
unsafe impl DirectoryRecord for RequestSettings {}

impl Record for ServerSettings {
    fn merged(&self, over: &Self) -> Self {
        self.merge(over)
    }
}

// SAFETY: the only one, and the one of the module record.
unsafe impl ServerRecord for ServerSettings {}

/// Returns the `WSGILogFormat` of a server.
pub(super) fn log_format(server: Server<'_>) -> Format {
    server.settings::<ServerSettings>().and_then(|settings| settings.log_format).unwrap_or(Format::Text)
}
