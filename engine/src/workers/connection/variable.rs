//! Questions to the Apache child about the client's connection.

use rustix::net::RecvFlags;
use wsgi_wire::codec::{Bytes, Wire};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;

use super::Connection;
use crate::request::transport::Transport;

impl Connection {
    /// Asks for a variable of mod_ssl: [`Transport::ask_variable`].
    pub(super) fn receive_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        if name.len() > limits::VARIABLE_NAME {
            return None;
        }
        self.outgoing.put(Kind::Variable, |out| Bytes::from(name).put(out));
        self.flush(true).ok()?;
        loop {
            if let Some(frame) = frame::first(&self.received).ok()? {
                let is_value = frame.kind == Kind::Value;
                let value = if is_value { Option::<Bytes>::from_bytes(frame.payload).ok()? } else { None };
                let size = frame.size();
                self.received.drain(..size);
                return value.map(|value| value.to_vec());
            }
            if self.fill(RecvFlags::empty()).is_err() {
                self.outgoing.lost();
                return None;
            }
        }
    }
}
