//! The HTTP side of a request, as the relay sees it.
#![forbid(unsafe_code)]

use std::time::Duration;

use rustix::io::Errno;
use wsgi_unix::descriptor::{BorrowedFd, OwnedFd};
use wsgi_wire::frame::Kind;
use wsgi_wire::messages::Message;
use wsgi_wire::question::Answer;
use wsgi_wire::record::LogRecord;
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{File, Head, Headers};
use wsgi_wire::websocket::Accept;

use super::admission::Admission;
use super::own_record;
use super::violation::Violation;

/// The client is gone, or a filter of Apache's failed: there is nobody to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

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

/// The request that a client has made, whatever is sent to that client.
pub trait RequestContext {
    /// Asks mod_ssl for a variable of this client's connection.
    fn ssl_variable(&mut self, _name: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// How many bytes of the error log a record of an application takes at the most.
    fn log_cost(&self, record: &LogRecord) -> usize {
        record.cost(0)
    }

    /// Writes a record into the error log, in the context of the request.
    fn log(&mut self, record: &LogRecord);
}

/// The HTTP side of one request.
pub trait Client: RequestContext {
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

    /// The client has not sent anything of its body for longer than it may: why that cannot be read any more.
    fn body_is_late(&mut self) -> BodyError {
        BodyError::TimedOut
    }

    /// Whether nothing more of the body comes, because there is none, all of it is read, or it broke off.
    fn body_is_over(&self) -> bool {
        true
    }

    /// Whether the client is known to be gone, where it has no [`Self::socket`] that could tell.
    fn is_gone(&self) -> bool {
        false
    }

    /// A thread has had the request for a while and has not asked for anything yet: a client that waits for `100
    /// Continue` is told to go on. One that is a proxy asks in this way whether anybody is there (`ping=`).
    fn is_taken(&mut self) {}

    /// The socket of the client's connection, where what is sent there belongs to this request alone.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The right to have the process wait while something is sent, where nobody can tell beforehand whether the client
    /// takes it; `None` where too many threads of the group may be waiting already. `pressing`: the process has nothing
    /// more to say meanwhile.
    fn right_to_wait(&self, _pressing: bool) -> Option<Right> {
        Some(None)
    }

    /// How long a write to the client may take, if there is a limit.
    fn send_timeout(&self) -> Option<Duration> {
        None
    }

    /// Writes a record of this process's own into the error log, in the context of the request.
    fn tell(&mut self, message: &'static Message, text: &str) {
        self.log(&own_record::ours(message, text));
    }

    /// Sends a `103 Early Hints` at once. That nobody is there any more shows when the response is sent.
    fn early_hints(&mut self, headers: Headers<'_>);

    /// Takes status and headers; nothing is sent yet.
    ///
    /// # Errors
    /// The status that the client gets instead, because this head cannot be sent.
    fn head(&mut self, head: &Head<'_>) -> Result<(), u16>;

    /// Grants the WebSocket that was asked for: from now on the connection has bytes for it, and no response.
    ///
    /// # Errors
    /// [`SendError`]: the client is gone, or has not asked for that.
    fn accept(&mut self, _accept: &Accept<'_>) -> Result<(), SendError> {
        Err(Violation::OutOfPlace(Kind::Accept).into())
    }

    /// Appends bytes that have come for a WebSocket. Returns whether there were any; does not wait.
    ///
    /// # Errors
    /// [`Gone`]: nothing more comes.
    fn receive_bytes(&mut self, _out: &mut Vec<u8>) -> Result<bool, Gone> {
        Err(Gone)
    }

    /// Sends the first of these bytes of a WebSocket, as far as that goes without waiting, and what is held of earlier
    /// ones before them. Returns how many were taken.
    ///
    /// # Errors
    /// [`Gone`]
    fn send_bytes(&mut self, _bytes: &[u8]) -> Result<usize, Gone> {
        Err(Gone)
    }

    /// Whether bytes of a WebSocket that were taken are still held here.
    fn holds_bytes(&self) -> bool {
        false
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

    /// Takes a piece of a file into the response body; it is sent with the next [`Self::data`], or at once if it is all
    /// there is.
    ///
    /// # Errors
    /// [`SendError`]
    fn file(&mut self, file: OwnedFd, piece: &File) -> Result<(), SendError>;
}
