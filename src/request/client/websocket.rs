//! What a request for a WebSocket lets the application do.
#![forbid(unsafe_code)]

use std::time::Instant;

use wsgi_websocket::handshake::Handshake;

use super::HttpClient;
use crate::request::client_websocket::ClientWebSocket;

impl HttpClient<'_, '_> {
    /// Lets the application accept the WebSocket that the client asks for.
    pub fn may_accept(&mut self, handshake: Handshake) {
        self.websocket = Some(ClientWebSocket::of(handshake));
    }

    /// When a WebSocket was granted.
    pub fn granted(&self) -> Option<Instant> {
        self.websocket.as_ref()?.since
    }
}
