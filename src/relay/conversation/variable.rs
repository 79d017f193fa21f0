//! Variables of mod_ssl about the client's connection, for a script or an application that asks for one, at any time of
//! its request.

use std::time::Instant;

use wsgi_wire::codec::{Bytes, Wire};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;

use super::{Conversation, Step, is_timeout};
use crate::relay::client::{Client, SendError};
use crate::relay::outcome::Outcome;
use crate::relay::violation::Violation;

/// Whether a name is that of a variable about the connection. mod_ssl knows others, too: `ENV:…` is Apache's own
/// environment, which processes do not get.
fn is_about_the_connection(name: &[u8]) -> bool {
    name.starts_with(b"SSL_") || name == b"HTTPS"
}

impl<C: Client> Conversation<'_, C> {
    /// Answers a `Variable` with exactly one frame. That is no progress: a process could ask for ever.
    ///
    /// # Errors
    /// It has asked for more of them than it may.
    pub(super) fn tell_variable(&mut self, name: &[u8]) -> Result<Step, SendError> {
        self.variables += 1;
        if self.variables > limits::VARIABLES {
            return Err(Violation::OutOfPlace(Kind::Variable).into());
        }
        let value = if is_about_the_connection(name) { self.client.ssl_variable(name) } else { None };
        let value = value.filter(|value| value.len() <= limits::VARIABLE).map(|value| Bytes::from(&value[..]));
        let payload = value.to_bytes();
        // The size is within the limit by construction; without an answer the process will time out.
        let Ok(header) = frame::header_in(self.connection.exchange(), Kind::Value, payload.len()) else {
            return Ok(Step::On);
        };
        Ok(match self.send([&header, &payload], Instant::now()) {
            Err(error) if is_timeout(&error) && !(self.limits.ended)() => Step::Over(Outcome::TimedOut(self.headed)),
            // Should the process be gone, the next read tells.
            _ => Step::On,
        })
    }
}
