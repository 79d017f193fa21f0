//! What an application receives: the body of its request in pieces, or the messages of its WebSocket. Pure.

use wsgi_wire::codec::DecodeError;

use crate::asgi::message::Message;
use crate::asgi::messages::Messages;
use crate::asgi::receiving::Receiving;
use crate::workers::connection::duplex::News;

/// What follows from the news of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// More may follow.
    More,
    /// The client sends nothing more, and may still take something.
    Last,
    /// Nobody is there any more.
    Gone,
}

/// What comes for an application.
#[derive(Debug)]
pub(super) enum Incoming {
    /// The body of a request.
    Http(Receiving),
    /// The messages of a WebSocket.
    WebSocket(Messages),
}

impl Incoming {
    /// The next message, if there is one.
    pub(super) fn take(&mut self) -> Option<Message> {
        match self {
            Self::Http(receiving) => receiving.take(),
            Self::WebSocket(messages) => messages.take(),
        }
    }

    /// Returns whether something has to be done now for more to come, and notes that the caller does that.
    pub(super) fn asks(&mut self) -> bool {
        match self {
            Self::Http(receiving) => receiving.asks(),
            Self::WebSocket(messages) => messages.resumes(),
        }
    }

    /// Whether nothing more is to be received for the time being.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self, Self::WebSocket(messages) if messages.is_paused())
    }

    /// Whether these are the messages of a WebSocket.
    pub(super) fn is_websocket(&self) -> bool {
        matches!(self, Self::WebSocket(_))
    }

    /// Takes what the Apache child says.
    ///
    /// # Errors
    /// If it has no place here: the connection is of no more use.
    pub(super) fn hears(&mut self, news: News) -> Result<Heard, DecodeError> {
        match (self, news) {
            (Self::Http(receiving), News::Piece(piece)) => receiving.arrived(piece),
            (Self::Http(receiving), News::End) => receiving.end(),
            (Self::Http(receiving), News::BrokenOff | News::Disconnect) => {
                receiving.is_over();
                return Ok(Heard::Last);
            }
            (Self::WebSocket(messages), News::Message { is_text, piece, is_more }) => {
                messages.arrived(is_text, piece, is_more)?;
            }
            (Self::WebSocket(messages), News::Disconnect) => {
                messages.is_over();
                return Ok(Heard::Last);
            }
            (Self::WebSocket(messages), News::Closed(close)) => {
                messages.closed(close);
                return Ok(Heard::Gone);
            }
            (_, news) => return Err(DecodeError::Unknown(news.kind() as u64)),
        }
        Ok(Heard::More)
    }

    /// Notes that nothing more comes: the client is gone, or has its response.
    pub(super) fn is_over(&mut self) {
        match self {
            Self::Http(receiving) => receiving.is_over(),
            Self::WebSocket(messages) => messages.is_over(),
        }
    }
}
