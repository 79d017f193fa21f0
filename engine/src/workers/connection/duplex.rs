//! An exchange in which nobody waits for anybody: what comes is taken when it comes, what is sent waits here until the
//! socket takes it.

use rustix::net::RecvFlags;
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::request::BodyError;
use wsgi_wire::websocket::Close;

use super::{Connection, ConnectionError, Filled};

/// What an Apache child says while an exchange goes on.
pub(crate) enum News {
    /// A piece of the request's body.
    Piece(Vec<u8>),
    /// The body is over.
    End,
    /// It cannot be read to its end.
    BrokenOff,
    /// The client sends nothing more.
    Disconnect,
    /// A piece of a WebSocket's message.
    Message {
        /// Whether the message is a text.
        is_text: bool,
        /// The bytes of the piece.
        piece: Vec<u8>,
        /// Whether another piece of the message follows.
        is_more: bool,
    },
    /// The WebSocket has ended.
    Closed(Close),
}

impl News {
    /// The kind of the frame that has brought it.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Piece(_) => Kind::Body,
            Self::End => Kind::BodyEnd,
            Self::BrokenOff => Kind::BodyError,
            Self::Disconnect => Kind::Disconnect,
            Self::Message { is_text: true, .. } => Kind::Text,
            Self::Message { is_text: false, .. } => Kind::Binary,
            Self::Closed(_) => Kind::Close,
        }
    }
}

impl Connection {
    /// The child may speak at any time in an exchange.
    pub(crate) fn is_duplex(&mut self) {
        self.duplex = true;
    }

    /// Asks for a piece of the request body, at most so many bytes; it comes as [`News`].
    pub(crate) fn ask_body(&mut self, most: u32) {
        self.outgoing.put(Kind::Pull, |out| most.put(out));
    }

    /// What the child says next, if it is there. `comes`: whether something may have come that was not received; it has
    /// not any more when all that was there is.
    ///
    /// # Errors
    /// If the connection is of no more use.
    pub(crate) fn hear(&mut self, comes: &mut bool) -> Result<Option<News>, ConnectionError> {
        loop {
            if let Some(frame) = frame::first(&self.received)? {
                let is_current = frame.exchange == self.right().exchange();
                let news = match frame.kind {
                    Kind::Body => News::Piece(frame.payload.to_vec()),
                    Kind::BodyEnd => News::End,
                    Kind::BodyError => BodyError::from_bytes(frame.payload).map(|_| News::BrokenOff)?,
                    Kind::Disconnect => News::Disconnect,
                    Kind::Text | Kind::Binary => News::Message {
                        is_text: frame.kind == Kind::Text,
                        piece: frame.payload.to_vec(),
                        is_more: frame.is_more,
                    },
                    Kind::Close => News::Closed(Close::from_bytes(frame.payload)?),
                    kind => return Err(DecodeError::Unknown(kind as u64).into()),
                };
                let size = frame.size();
                self.received.drain(..size);
                if is_current {
                    return Ok(Some(news));
                }
            } else if *comes {
                // What comes later the poller tells of.
                *comes = self.fill(RecvFlags::DONTWAIT).map_err(|_| ConnectionError::Closed)? == Filled::Full;
            } else {
                return Ok(None);
            }
        }
    }

    /// Whether something has been received that has not been looked at: the poller does not tell of it again.
    pub(crate) fn has_more(&self) -> bool {
        !self.received.is_empty()
    }

    /// How many bytes wait for the socket to take them.
    pub(crate) fn pending(&self) -> usize {
        self.outgoing.pending()
    }

    /// Queues long content, in a memory file if it can.
    pub(crate) fn set_aside(&mut self, content: &[u8]) {
        self.outgoing.put_aside(content);
    }

    /// Nobody takes anything any more.
    pub(crate) fn is_lost(&mut self) {
        self.outgoing.lost();
    }
}
