//! Variables of mod_ssl about the client's connection, for a script or an application that asks for one, at any time of
//! its request.

use wsgi_wire::codec::{Bytes, Wire};
use wsgi_wire::frame::Kind;
use wsgi_wire::limits;

use super::{Conversation, Step};
use crate::relay::client::{Client, SendError};
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
        Ok(self.answer(Kind::Value, &value.to_bytes()).unwrap_or(Step::On))
    }
}
