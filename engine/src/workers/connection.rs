//! A connection from an Apache child: one request at a time, as `docs/architecture.md` describes.

mod body;
pub(crate) mod duplex;
mod trailers;
mod variable;
mod websocket;

use std::any::Any;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use wsgi_unix::fork::Unshared;
use wsgi_wire::codec::{DecodeError, Reader, Wire};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;
use wsgi_wire::question::Answer;
use wsgi_wire::record::LogRecord;
use wsgi_wire::request::Hello;
use wsgi_wire::response::{End, Fail, File, Reject, put_head, put_headers};

use crate::request::response_head::Head;
use crate::request::route::{self, Route};
use crate::request::transport::{Gone, InputError, Transport};
use crate::workers::outgoing::{Outgoing, TRANSFERS};
use crate::workers::response_right::ResponseRight;

/// How much room is made for a receive, bytes: most requests without a body fit.
const RECEIVE: usize = 16 << 10;

/// How much of its buffer for requests a connection keeps from one to the next, bytes: there may be hundreds of
/// connections.
const KEPT: usize = 64 << 10;

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// The child has closed the connection, or the connection failed.
    #[error("the Apache child has closed the connection")]
    Closed,
    /// The child does not speak our protocol.
    #[error("an Apache child sent something that is no request: {0}")]
    Malformed(#[from] DecodeError),
    /// The other side is of another build of the module, or no Apache child at all.
    #[error("refused a connection that does not prove to come from an Apache child of this server and this build")]
    Stranger,
}

/// A request that is all there: the `Request` frame's payload within a buffer that goes back to the connection.
pub(crate) struct Arrived {
    buffer: Vec<u8>,
    payload: std::ops::Range<usize>,
    /// The route that the request names.
    pub(crate) route: Arc<Route>,
}

impl Arrived {
    /// The payload of the `Request` frame.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.buffer[self.payload.clone()]
    }
}

/// What a receive has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filled {
    /// There is nothing; only without waiting.
    Nothing,
    /// All that was there.
    Partly,
    /// As much as there was room for: more may be there.
    Full,
}

/// One connection and the state of its exchange.
pub(crate) struct Connection {
    outgoing: Outgoing,
    greeted: bool,
    /// Whether the child may speak at any time in an exchange ([`duplex`]).
    duplex: bool,
    /// Whether it carries a WebSocket, and no other request any more.
    upgraded: bool,
    routes: Vec<Arc<Route>>,
    received: Vec<u8>,
}

impl Connection {
    /// A connection that has just been accepted. `timeout` bounds every single wait on it.
    pub(crate) fn new(socket: Unshared, timeout: Option<Duration>) -> Self {
        Self {
            outgoing: Outgoing::new(Arc::new(ResponseRight::new(socket)), timeout),
            greeted: false,
            duplex: false,
            upgraded: false,
            routes: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Whether nothing is left to send and the other side is not known to be gone: the connection can wait for the next
    /// request.
    pub(crate) fn is_idle(&self) -> bool {
        !self.upgraded && self.outgoing.is_idle()
    }

    /// Receives what is there, without waiting. Returns the next request once it is complete.
    ///
    /// # Errors
    /// If the connection is of no more use.
    pub(crate) fn receive(&mut self, secret: u64) -> Result<Option<Arrived>, ConnectionError> {
        loop {
            if let Some(arrived) = self.next_request(secret)? {
                return Ok(Some(arrived));
            }
            if self.fill(RecvFlags::DONTWAIT).map_err(|_| ConnectionError::Closed)? == Filled::Nothing {
                return Ok(None);
            }
        }
    }

    fn next_request(&mut self, secret: u64) -> Result<Option<Arrived>, ConnectionError> {
        let mut at = 0;
        while let Some(frame) = frame::first(&self.received[at..])? {
            let payload = at + frame::HEADER..at + frame.size();
            match frame.kind {
                Kind::Hello if !self.greeted => {
                    let hello = Hello::from_bytes(frame.payload)?;
                    if hello.version != wsgi_wire::VERSION || hello.secret != secret {
                        return Err(ConnectionError::Stranger);
                    }
                    self.greeted = true;
                }
                _ if !self.greeted => return Err(ConnectionError::Stranger),
                Kind::Route if self.routes.len() < limits::ROUTES as usize => {
                    let (id, route) = route::shared(frame.payload)?;
                    if id as usize != self.routes.len() {
                        return Err(DecodeError::Unknown(id.into()).into());
                    }
                    self.routes.push(route);
                }
                // It has crossed the end of the exchange before.
                Kind::Body | Kind::BodyEnd | Kind::BodyError | Kind::Disconnect if self.duplex => {}
                Kind::Request => {
                    let id = u16::get(&mut Reader::new(frame.payload))?;
                    let route = self.routes.get(id as usize).ok_or(DecodeError::Unknown(id.into()))?;
                    let route = Arc::clone(route);
                    self.outgoing.request_begins(frame.exchange);
                    return Ok(Some(Arrived { buffer: std::mem::take(&mut self.received), payload, route }));
                }
                kind => return Err(DecodeError::Unknown(kind as u64).into()),
            }
            at = payload.end;
        }
        self.received.drain(..at);
        Ok(None)
    }

    /// Takes the buffer of a request back, without the request.
    pub(crate) fn done_with(&mut self, arrived: Arrived) {
        let Arrived { mut buffer, payload, .. } = arrived;
        buffer.drain(..payload.end);
        buffer.shrink_to(KEPT);
        self.received = buffer;
    }

    /// Answers that the request is not executed.
    pub(crate) fn reject(&mut self, why: Reject) -> Result<(), Gone> {
        self.outgoing.answer(Kind::Reject, |out| why.put(out));
        self.flush(true).map(|_| ())
    }

    /// Answers with Apache's page for this status, without having looked at the request.
    pub(crate) fn refuse(&mut self, status: u16) -> Result<(), Gone> {
        self.fail(status);
        self.flush(true).map(|_| ())
    }

    /// The descriptor that the poller waits at.
    pub(crate) fn socket(&self) -> &Unshared {
        &self.outgoing.right().socket
    }

    /// The right to answer the request that has just arrived.
    pub(crate) fn right(&self) -> &Arc<ResponseRight> {
        self.outgoing.right()
    }

    /// Receives what is there, with one call.
    fn fill(&mut self, flags: RecvFlags) -> Result<Filled, Gone> {
        self.received.reserve(frame::room(&self.received, RECEIVE));
        let room = self.received.capacity() - self.received.len();
        loop {
            return match recv(&self.outgoing.right().socket, spare_capacity(&mut self.received), flags) {
                Ok((0, _)) => Err(Gone),
                Ok((length, _)) => {
                    TRANSFERS.fetch_add(1, Ordering::Relaxed);
                    Ok(if length == room { Filled::Full } else { Filled::Partly })
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Ok(Filled::Nothing),
                Err(_) => Err(Gone),
            };
        }
    }
}

impl Transport for Connection {
    fn early_hints(&mut self, hints: &Head) {
        self.outgoing.put(Kind::EarlyHints, |out| put_headers(out, hints.headers()));
    }

    fn head(&mut self, head: &Head) {
        self.outgoing.answer(Kind::Head, |out| put_head(out, head.status, head.reason(), head.headers()));
    }

    fn data(&mut self, content: &[u8]) {
        self.outgoing.data(content);
    }

    fn has_room(&self, length: usize) -> bool {
        self.outgoing.has_room(length)
    }

    fn pass(&mut self, content: &[u8]) -> Result<(), Gone> {
        self.outgoing.pass(content)
    }

    fn file(&mut self, file: OwnedFd, piece: File) {
        self.outgoing.file(file, piece);
    }

    fn log(&mut self, record: LogRecord) {
        self.outgoing.log(record);
    }

    fn end(&mut self, end: End) {
        self.outgoing.put(Kind::End, |out| end.put(out));
    }

    fn fail(&mut self, status: u16) {
        self.outgoing.answer(Kind::Fail, |out| Fail { status }.put(out));
    }

    fn answer(&mut self, answer: &Answer) {
        self.outgoing.answer(Kind::Answer, |out| answer.put(out));
    }

    fn flush(&mut self, wait: bool) -> Result<bool, Gone> {
        self.outgoing.flush(wait)
    }

    fn pull(&mut self, max: u32, into: &mut Vec<u8>) -> Result<bool, InputError> {
        self.receive_body(max, into)
    }

    fn ask_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        self.receive_variable(name)
    }

    fn unsent(&mut self) -> Vec<LogRecord> {
        self.outgoing.unsent()
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket().as_fd()
    }
}
