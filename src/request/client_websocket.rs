//! The WebSocket of a client, from its handshake on.
#![forbid(unsafe_code)]

#[cfg(unix)]
use std::mem::take;
use std::time::Instant;

use wsgi_websocket::extension::DEFLATE;
use wsgi_websocket::handshake::Handshake;
use wsgi_wire::websocket::Accept;

#[cfg(unix)]
use crate::httpd::log::Execution;
use crate::httpd::request::Request;
#[cfg(unix)]
use crate::httpd::suspended;
use crate::httpd::upgraded::Upgraded;
#[cfg(unix)]
use crate::pump::{Guest, Place};
use crate::relay::client::{Gone, SendError};
#[cfg(unix)]
use crate::relay::connection::Connection;
use crate::relay::violation::Violation;
#[cfg(unix)]
use crate::relay::websocket::carrier::Carrier;

/// The WebSocket that a client asks for, or has.
pub struct ClientWebSocket {
    handshake: Handshake,
    upgraded: Option<Upgraded>,
    /// The place that it has among those that hold no thread of Apache, if it may be one of them.
    #[cfg(unix)]
    place: Option<Place>,
    /// When it was granted.
    pub since: Option<Instant>,
}

impl ClientWebSocket {
    /// The WebSocket that this handshake asks for.
    pub fn of(handshake: Handshake) -> Self {
        Self {
            handshake,
            upgraded: None,
            #[cfg(unix)]
            place: None,
            since: None,
        }
    }

    /// Lets it hold no thread of Apache, in this place.
    #[cfg(unix)]
    pub fn may_leave(&mut self, place: Option<Place>) {
        self.place = place;
    }

    /// Leaves it to the pump of this child, if it may.
    ///
    /// # Errors
    /// It stays with this thread.
    #[cfg(unix)]
    pub fn leave(
        &mut self,
        r: &mut Request<'_>,
        at: Execution<'_>,
        connection: Connection,
        carrier: Carrier,
    ) -> Result<(), Box<(Connection, Carrier)>> {
        let (Some(place), true) = (take(&mut self.place), suspended::may_be(r)) else {
            return Err(Box::new((connection, carrier)));
        };
        let Some(upgraded) = take(&mut self.upgraded) else { return Err(Box::new((connection, carrier))) };
        suspended::leave(r, upgraded, Box::new(Guest { connection, carrier, place, at: at.into() }));
        Ok(())
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
        let deflate = self.handshake.offers_deflate.then_some((&b"Sec-WebSocket-Extensions"[..], DEFLATE.as_bytes()));
        let subprotocol = accept.subprotocol.map(|name| (&b"Sec-WebSocket-Protocol"[..], name));
        let own = handshake.into_iter().chain(deflate).chain(subprotocol);
        let headers = own.chain(accept.headers.clone().flatten());
        self.since = Some(Instant::now());
        self.upgraded = Some(Upgraded::begin(r, headers)?);
        Ok(())
    }

    /// Whether its messages may travel compressed.
    pub fn is_deflate(&self) -> bool {
        self.handshake.offers_deflate
    }

    /// Whether the connection is no longer HTTP.
    pub fn is_granted(&self) -> bool {
        self.since.is_some()
    }

    /// Appends bytes that have come. Returns whether more may have.
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
