//! The WebSocket of a client, from its handshake on.
#![forbid(unsafe_code)]

use std::time::Instant;

use wsgi_websocket::handshake::Handshake;
use wsgi_wire::websocket::Accept;

use crate::httpd::request::Request;
use crate::httpd::upgraded::Upgraded;
use crate::relay::client::{Gone, SendError};
use crate::relay::violation::Violation;

/// The WebSocket that a client asks for, or has.
pub struct ClientWebSocket {
    handshake: Handshake,
    upgraded: Option<Upgraded>,
    /// When it was granted.
    pub since: Option<Instant>,
}

impl ClientWebSocket {
    /// The WebSocket that this handshake asks for.
    pub fn of(handshake: Handshake) -> Self {
        Self { handshake, upgraded: None, since: None }
    }

    /// Grants the WebSocket, by a 101 with the headers that the application adds.
    ///
    /// # Errors
    /// [`SendError`]: the client is gone, or has not offered the sub-protocol.
    pub fn accept(&mut self, r: &mut Request<'_>, accept: &Accept<'_>) -> Result<(), SendError> {
        let offered = &self.handshake.protocols;
        if accept.subprotocol.is_some_and(|name| !offered.iter().any(|offer| offer.as_bytes() == name)) {
            return Err(Violation::Subprotocol.into());
        }
        let handshake = [
            (&b"Upgrade"[..], &b"websocket"[..]),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Accept", self.handshake.accept.as_bytes()),
        ];
        let subprotocol = accept.subprotocol.map(|name| (&b"Sec-WebSocket-Protocol"[..], name));
        let headers = handshake.into_iter().chain(subprotocol).chain(accept.headers.clone().flatten());
        self.since = Some(Instant::now());
        self.upgraded = Some(Upgraded::begin(r, headers)?);
        Ok(())
    }

    /// Whether the connection is no longer HTTP.
    pub fn is_granted(&self) -> bool {
        self.since.is_some()
    }

    /// Appends bytes that have come. Returns whether there were any.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn receive(&mut self, r: &mut Request<'_>, out: &mut Vec<u8>) -> Result<bool, Gone> {
        self.upgraded.as_mut().ok_or(Gone)?.receive(r, out)
    }

    /// Sends the first of these bytes. Returns how many.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn send(&mut self, r: &mut Request<'_>, bytes: &[u8]) -> Result<usize, Gone> {
        self.upgraded.as_mut().ok_or(Gone)?.send(r, bytes)
    }

    /// Whether bytes that were taken have not been written yet.
    pub fn holds(&self, r: &Request<'_>) -> bool {
        self.upgraded.as_ref().is_some_and(|upgraded| upgraded.holds(r))
    }
}
