//! A connection that carries a WebSocket: from its acceptance to its end, and nothing after that.

use wsgi_wire::codec::Wire;
use wsgi_wire::frame::Kind;
use wsgi_wire::websocket::{Close, put_accept};

use super::Connection;
use crate::request::response_head::Head;

impl Connection {
    /// Accepts the WebSocket that the client asks for.
    pub(crate) fn accept(&mut self, subprotocol: Option<&str>, head: &Head) {
        self.upgraded = true;
        self.outgoing.answer(Kind::Accept, |out| {
            put_accept(out, subprotocol.map(str::as_bytes), head.headers());
        });
    }

    /// Queues a message.
    pub(crate) fn send_message(&mut self, kind: Kind, content: &[u8]) {
        self.outgoing.message(kind, content);
    }

    /// Queues the application's close.
    pub(crate) fn close(&mut self, close: &Close) {
        self.outgoing.put(Kind::Close, |out| close.put(out));
    }
}
