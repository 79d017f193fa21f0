//! The service that reports are sent to: it listens at a socket that Windows has not.

use std::io::{Error, ErrorKind};

/// The service, of which there is none.
pub(super) enum Service {}

impl Service {
    /// Refuses to look for it.
    ///
    /// # Errors
    /// Always.
    pub(super) fn at(_path: &[u8]) -> std::io::Result<Self> {
        let cure =
            "a telemetry service listens at a socket of Unix, which Windows has not; leave WSGITelemetryService out";
        Err(Error::new(ErrorKind::Unsupported, cure))
    }

    /// The name of this machine.
    pub(super) fn host(&self) -> &[u8] {
        match *self {}
    }

    /// Sends a datagram.
    pub(super) fn send(&self, _datagram: &[u8]) {
        match *self {}
    }
}
