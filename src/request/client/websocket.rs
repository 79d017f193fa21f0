//! What a request for a WebSocket lets the application do.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use wsgi_unix::descriptor::BorrowedFd;
use wsgi_websocket::handshake::Handshake;

use super::HttpClient;
use crate::httpd::{response, socket};
#[cfg(unix)]
use crate::pump::Place;
use crate::relay::client::{Gone, Peer};
use crate::request::client_websocket::ClientWebSocket;

impl HttpClient<'_, '_> {
    /// Lets the application accept the WebSocket that the client asks for.
    pub fn may_accept(&mut self, handshake: Handshake) {
        self.websocket = Some(ClientWebSocket::of(handshake));
    }

    /// Lets it hold no thread of Apache.
    #[cfg(unix)]
    pub fn may_leave(&mut self, place: Option<Place>) {
        if let Some(websocket) = &mut self.websocket {
            websocket.may_leave(place);
        }
    }

    /// When a WebSocket was granted.
    pub fn granted(&self) -> Option<Instant> {
        self.websocket.as_ref()?.since
    }
}

impl Peer for HttpClient<'_, '_> {
    fn is_gone(&self) -> bool {
        self.r.is_aborted()
    }

    fn socket(&self) -> Option<BorrowedFd<'_>> {
        socket::of_client(self.r)
    }

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        socket::of_client(self.r).or_else(|| socket::of_stream(self.r))
    }

    fn send_timeout(&self) -> Option<Duration> {
        response::client_timeout(self.r)
    }

    fn receive_bytes(&mut self, out: &mut Vec<u8>) -> Result<bool, Gone> {
        self.websocket.as_mut().ok_or(Gone)?.receive(self.r, out)
    }

    fn send_bytes(&mut self, bytes: &[u8]) -> Result<usize, Gone> {
        self.websocket.as_mut().ok_or(Gone)?.send(self.r, bytes)
    }

    fn holds_bytes(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| websocket.holds(self.r))
    }
}
