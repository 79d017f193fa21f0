//! The messages that `receive()` returns.

use wsgi_wire::websocket::Close;

/// A message that `receive()` returns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// `http.request`: a piece of the body, and whether there is more.
    Body(Vec<u8>, bool),
    /// The message `http.disconnect`.
    Disconnect,
    /// The message `websocket.connect`.
    Connect,
    /// `websocket.receive` with a text.
    Text(String),
    /// `websocket.receive` with bytes.
    Binary(Vec<u8>),
    /// The message `websocket.disconnect`.
    Closed(Close),
}
