//! Where the application of a WebSocket runs, kept for as long as that lasts.

use crate::httpd::log::Execution;

/// Where the application of a WebSocket runs, for the records of its process.
pub struct At {
    script: Box<[u8]>,
    process_group: Box<[u8]>,
    application_group: Box<[u8]>,
}

impl At {
    /// The place, for records.
    pub fn execution(&self) -> Execution<'_> {
        Execution {
            script: &self.script,
            process_group: &self.process_group,
            application_group: &self.application_group,
        }
    }
}

impl From<Execution<'_>> for At {
    fn from(place: Execution<'_>) -> Self {
        Self {
            script: place.script.into(),
            process_group: place.process_group.into(),
            application_group: place.application_group.into(),
        }
    }
}
