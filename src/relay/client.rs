//! The HTTP side of a request, as the relay sees it.
#![forbid(unsafe_code)]

use rustix::io::Errno;
use wsgi_unix::descriptor::OwnedFd;
#[cfg(unix)]
use wsgi_unix::fork::mapped::Outside;
use wsgi_wire::frame::Kind;
use wsgi_wire::question::Answer;
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{File, Head, Headers};
use wsgi_wire::websocket::Accept;

use super::admission::Admission;
#[cfg(unix)]
use super::connection::Connection;
pub use super::peer::{Gone, Peer, RequestContext};
use super::violation::Violation;
#[cfg(unix)]
use super::websocket::carrier::Carrier;

/// How bytes that are passed down are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// More bytes follow soon: filters may gather.
    More,
    /// A pause follows: what is there is sent now.
    Flush,
    /// Nothing follows any more.
    End,
}

/// Why nothing more of a response is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendError {
    /// The client is gone, or a filter of Apache's failed.
    Gone,
    /// The process has sent what it may not send.
    Refused(Violation),
    /// What was kept of the response for a slow client cannot be read again.
    Unkept(Errno),
}

impl From<Gone> for SendError {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<Violation> for SendError {
    fn from(violation: Violation) -> Self {
        Self::Refused(violation)
    }
}

/// The right to have a process wait for a client, which counts as long as it is held; `None` where it can be told
/// beforehand that nobody waits.
pub type Right = Option<Admission<'static>>;

/// The HTTP side of one request.
pub trait Client: Peer {
    /// Appends one to `max` bytes of the request body; `Ok(false)` means that it has ended. With a `max` of 0 it does
    /// not wait, and only `100 Continue` is sent to a client that waits for it.
    ///
    /// # Errors
    /// Why the body cannot be read; the client of the relay remembers what that means for the response.
    fn read_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<bool, BodyError>;

    /// As [`Self::read_body`], of what is there: `None` if that is nothing yet.
    ///
    /// # Errors
    /// As [`Self::read_body`].
    fn take_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<Option<bool>, BodyError> {
        self.read_body(max, out).map(Some)
    }

    /// Reads what has come of the body of a client that sends nothing more, as far as there is room, and keeps it.
    ///
    /// # Errors
    /// As [`Self::read_body`]: that is not all of it.
    fn look_ahead(&mut self) -> Result<(), BodyError> {
        Ok(())
    }

    /// The client has not sent anything of its body for longer than it may: why that cannot be read any more.
    fn body_is_late(&mut self) -> BodyError {
        BodyError::TimedOut
    }

    /// Whether nothing more of the body comes, because there is none, all of it is read, or it broke off.
    fn body_is_over(&self) -> bool {
        true
    }

    /// A thread has had the request for a while and has not asked for anything yet: a client that waits for `100
    /// Continue` is told to go on. One that is a proxy asks in this way whether anybody is there (`ping=`).
    fn is_taken(&mut self) {}

    /// Much content comes, and more follows: who makes it had better not be pushed aside for each piece.
    fn flows(&self) {}

    /// The right to have the process wait while something is sent, where nobody can tell beforehand whether the client
    /// takes it; `None` where too many threads of the group may be waiting already. `pressing`: the process has nothing
    /// more to say meanwhile.
    fn right_to_wait(&self, _pressing: bool) -> Option<Right> {
        Some(None)
    }

    /// Sends a `103 Early Hints` at once. That nobody is there any more shows when the response is sent.
    fn early_hints(&mut self, headers: Headers<'_>);

    /// Takes status and headers; nothing is sent yet.
    ///
    /// # Errors
    /// The status that the client gets instead, because this head cannot be sent.
    fn head(&mut self, head: &Head<'_>) -> Result<(), u16>;

    /// Takes header lines that follow the content, once; where the client cannot be sent any, they are left out.
    ///
    /// # Errors
    /// [`SendError`]: they may not be sent.
    fn trailers(&mut self, _headers: Headers<'_>) -> Result<(), SendError> {
        Err(Violation::OutOfPlace(Kind::Trailers).into())
    }

    /// Grants the WebSocket that was asked for: from now on the connection has bytes for it, and no response.
    ///
    /// # Errors
    /// [`SendError`]: the client is gone, or has not asked for that.
    fn accept(&mut self, _accept: &Accept<'_>) -> Result<(), SendError> {
        Err(Violation::OutOfPlace(Kind::Accept).into())
    }

    /// Whether messages of the WebSocket that was granted may travel compressed.
    fn deflates(&self) -> bool {
        false
    }

    /// Has the WebSocket that was granted carried on without this thread, on this connection to its process.
    ///
    /// # Errors
    /// Both come back where that cannot be.
    #[cfg(unix)]
    fn hand_over(&mut self, connection: Connection, carrier: Carrier) -> Result<(), Box<(Connection, Carrier)>> {
        Err(Box::new((connection, carrier)))
    }

    /// Takes the answer to a question, which comes in place of a response.
    ///
    /// # Errors
    /// [`Violation`]: nobody has asked that.
    fn answer(&mut self, _answer: Answer) -> Result<(), Violation> {
        Err(Violation::OutOfPlace(Kind::Answer))
    }

    /// Whether the response has content at all, so far as that is known after the head.
    fn wants_content(&self) -> bool {
        true
    }

    /// Sends pieces of the response body.
    ///
    /// # Errors
    /// [`SendError`]: if the pieces are refused, nothing of them has been sent.
    fn data(&mut self, pieces: &[&[u8]], then: Then) -> Result<(), SendError>;

    /// Whether content is sent without anybody looking at it on its way, so that it does no harm if the process changes
    /// it meanwhile.
    fn takes_unseen(&self) -> bool {
        false
    }

    /// Sends pieces of the response body that the process may change at any time, if [`Self::takes_unseen`].
    ///
    /// # Errors
    /// As [`Self::data`].
    #[cfg(unix)]
    fn unseen(&mut self, _pieces: &[Outside<'_>], _then: Then) -> Result<(), SendError> {
        Err(SendError::Gone)
    }

    /// Takes a piece of a file into the response body; it is sent with the next [`Self::data`], or at once if it is all
    /// there is.
    ///
    /// # Errors
    /// [`SendError`]
    fn file(&mut self, file: OwnedFd, piece: &File) -> Result<(), SendError>;
}
