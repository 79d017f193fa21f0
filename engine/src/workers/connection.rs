//! A connection from an Apache child: one request at a time, as `docs/architecture.md` describes.

use std::any::Any;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recv, send, sendmsg};
use wsgi_unix::fork::{self, Unshared};
use wsgi_unix::memory_file;
use wsgi_wire::codec::{Malformed, Reader, Wire};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;
use wsgi_wire::record::{Level, LogRecord};
use wsgi_wire::request::{BodyError, Hello};
use wsgi_wire::response::{End, Fail, File, Reject, put_head, put_headers};

use crate::log::order;
use crate::log::record;
use crate::request::exchange::{Exchange, Gone, InputError};
use crate::request::response::Head;
use crate::request::route::{self, Route};
use crate::workers::reply::Reply;

/// Room that is made for a receive: most requests without a body fit.
const RECEIVE: usize = 16 << 10;

/// What a connection keeps of its buffers from request to request: there may be hundreds of connections.
const KEPT: usize = 64 << 10;

/// How much memory files may hold that the child has not picked up, before content goes through the socket and waits there.
const FILES_IN_FLIGHT: usize = 8 << 20;

/// Counts what was sent and received: shows whether requests make progress.
pub(crate) static TRANSFERS: AtomicU64 = AtomicU64::new(0);

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The child has closed it, or it failed.
    #[error("the Apache child has closed the connection")]
    Closed,
    /// The child does not speak our protocol.
    #[error("an Apache child sent something that is no request: {0}")]
    Malformed(#[from] Malformed),
    /// Another build of the module, or not an Apache child at all.
    #[error("refused a connection that does not prove to come from an Apache child of this server and this build")]
    Stranger,
}

/// A request that is all there: the `Request` frame's payload within a buffer that goes back to the connection.
pub(crate) struct Arrived {
    buffer: Vec<u8>,
    payload: std::ops::Range<usize>,
    /// The route it names.
    pub(crate) route: Arc<Route>,
}

impl Arrived {
    /// The payload of the `Request` frame.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.buffer[self.payload.clone()]
    }
}

/// One connection and what is known about it.
pub(crate) struct Connection {
    /// Its socket, shared with the monitor.
    reply: Arc<Reply>,
    greeted: bool,
    routes: Vec<Arc<Route>>,
    received: Vec<u8>,
    queued: Vec<u8>,
    /// Descriptors and the place in `queued` where each goes out.
    descriptors: VecDeque<(usize, OwnedFd)>,
    sent: usize,
    in_files: usize,
    /// Records that may not have left yet, and where in `queued` they end.
    records: Vec<(usize, LogRecord)>,
    /// Records that nobody was there for.
    unsent: Vec<LogRecord>,
    gone: bool,
    /// Whether the answer itself has been queued.
    answered: bool,
    timeout: Option<Duration>,
}

impl Connection {
    /// A connection that has just been accepted. `timeout` bounds every single wait on it.
    pub(crate) fn new(socket: Unshared, timeout: Option<Duration>) -> Self {
        Self {
            reply: Arc::new(Reply::new(socket)),
            greeted: false,
            routes: Vec::new(),
            received: Vec::new(),
            queued: Vec::new(),
            descriptors: VecDeque::new(),
            sent: 0,
            in_files: 0,
            records: Vec::new(),
            unsent: Vec::new(),
            gone: false,
            answered: false,
            timeout,
        }
    }

    /// Whether nothing is left to send and nobody is known to be gone: it can wait for the next request.
    pub(crate) fn is_idle(&self) -> bool {
        !self.gone && self.queued.is_empty()
    }

    /// Receives what is there, without waiting; the next request once it is complete.
    ///
    /// # Errors
    /// If the connection is of no more use.
    pub(crate) fn receive(&mut self, secret: u64) -> Result<Option<Arrived>, Broken> {
        loop {
            if let Some(arrived) = self.next_request(secret)? {
                return Ok(Some(arrived));
            }
            if !self.fill(RecvFlags::DONTWAIT).map_err(|_| Broken::Closed)? {
                return Ok(None);
            }
        }
    }

    fn next_request(&mut self, secret: u64) -> Result<Option<Arrived>, Broken> {
        let mut at = 0;
        while let Some(frame) = frame::first(&self.received[at..])? {
            let payload = at + frame::HEADER..at + frame.size();
            match frame.kind {
                Kind::Hello if !self.greeted => {
                    let hello = Hello::from_bytes(frame.payload)?;
                    if hello.version != wsgi_wire::VERSION || hello.secret != secret {
                        return Err(Broken::Stranger);
                    }
                    self.greeted = true;
                }
                _ if !self.greeted => return Err(Broken::Stranger),
                Kind::Route if self.routes.len() < limits::ROUTES as usize => {
                    let (id, route) = route::shared(frame.payload)?;
                    if id as usize != self.routes.len() {
                        return Err(Malformed::Unknown(id.into()).into());
                    }
                    self.routes.push(route);
                }
                Kind::Request => {
                    let id = u16::get(&mut Reader::new(frame.payload))?;
                    let route = self.routes.get(id as usize).ok_or(Malformed::Unknown(id.into()))?;
                    let route = Arc::clone(route);
                    self.answered = false;
                    self.reply.pause();
                    return Ok(Some(Arrived { buffer: std::mem::take(&mut self.received), payload, route }));
                }
                kind => return Err(Malformed::Unknown(kind as u64).into()),
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
        self.answered = true;
        self.put(Kind::Reject, |out| why.put(out));
        self.flush(true).map(|_| ())
    }

    /// Answers with Apache's page for this status, without having looked at the request.
    pub(crate) fn refuse(&mut self, status: u16) -> Result<(), Gone> {
        self.fail(status);
        self.flush(true).map(|_| ())
    }

    /// What to wait at.
    pub(crate) fn socket(&self) -> &Unshared {
        &self.reply.socket
    }

    /// The right to answer the request that has just arrived.
    pub(crate) fn reply(&self) -> &Arc<Reply> {
        &self.reply
    }

    /// Receives once. Whether anything came; `false` only without waiting.
    fn fill(&mut self, flags: RecvFlags) -> Result<bool, Gone> {
        self.received.reserve(frame::room(&self.received, RECEIVE));
        loop {
            return match recv(&self.reply.socket, spare_capacity(&mut self.received), flags) {
                Ok((0, _)) => Err(Gone),
                Ok(_) => {
                    TRANSFERS.fetch_add(1, Ordering::Relaxed);
                    Ok(true)
                }
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => Ok(false),
                Err(_) => Err(Gone),
            };
        }
    }

    fn put(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        if self.gone {
            return;
        }
        if let Err(error) = frame::put(&mut self.queued, kind, write) {
            // Only headers or a record of several megabytes can be that long.
            record::process(Level::Error, &format!("a response is cut off: {error}"));
            self.gone = true;
        }
    }

    /// Waits until the socket can take or has data.
    fn wait(&self, flags: PollFlags) -> Result<(), Gone> {
        let timeout = self.timeout.map(|t| Timespec { tv_sec: t.as_secs() as i64, tv_nsec: t.subsec_nanos().into() });
        loop {
            match poll(&mut [PollFd::new(&self.reply.socket, flags)], timeout.as_ref()) {
                Ok(0) => return Err(Gone),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Sends once, without waiting; the descriptor that is due goes along.
    fn send_some(&mut self) -> Result<usize, Errno> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let next = self.descriptors.get(1).map_or(self.queued.len(), |(at, _)| *at);
        match self.descriptors.front() {
            Some((at, file)) if *at == self.sent => {
                let files = [file.as_fd()];
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                control.push(SendAncillaryMessage::ScmRights(&files));
                let sent =
                    sendmsg(&self.reply.socket, &[IoSlice::new(&self.queued[self.sent..next])], &mut control, flags)?;
                self.descriptors.pop_front();
                Ok(sent)
            }
            Some((at, _)) => send(&self.reply.socket, &self.queued[self.sent..*at], flags),
            None => send(&self.reply.socket, &self.queued[self.sent..], flags),
        }
    }

    fn lost(&mut self) -> Gone {
        self.gone = true;
        self.queued.clear();
        self.descriptors.clear();
        // The child has read all that was sent, and none of what was not: they must not be lost.
        let sent = self.sent;
        self.unsent.extend(self.records.drain(..).filter(|(end, _)| *end > sent).map(|(_, record)| record));
        self.sent = 0;
        Gone
    }

    fn data_inline(&mut self, content: &[u8]) {
        for piece in content.chunks(limits::INLINE_CHUNK) {
            self.put(Kind::Data, |out| out.extend_from_slice(piece));
        }
    }

    /// Whether the child has read everything that was sent.
    fn is_drained(&self) -> bool {
        crate::ffi::process::unread(self.reply.socket.as_raw_fd()) == Some(0)
    }
}

impl Exchange for Connection {
    fn early_hints(&mut self, headers: &[(Vec<u8>, Vec<u8>)]) {
        self.put(Kind::EarlyHints, |out| put_headers(out, headers.iter().map(|(name, value)| (&**name, &**value))));
    }

    fn head(&mut self, head: &Head) {
        self.answered = true;
        self.put(Kind::Head, |out| {
            let headers = head.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
            put_head(out, head.status, &head.reason, headers);
        });
    }

    fn data(&mut self, content: &[u8]) {
        if content.len() > limits::INLINE_CHUNK {
            if self.in_files > 0 && self.is_drained() {
                self.in_files = 0;
            }
            if self.in_files + content.len() <= FILES_IN_FLIGHT || self.in_files == 0 {
                // Where no memory file can be made, the content goes the long way.
                if let Ok(file) = memory_file::sealed("wsgi-response", content) {
                    self.in_files += content.len();
                    return self.file(file, File { offset: 0, length: content.len() as u64, whole: false });
                }
            }
        }
        self.data_inline(content);
    }

    fn file(&mut self, file: OwnedFd, piece: File) {
        let at = self.queued.len();
        self.put(Kind::File, |out| piece.put(out));
        if !self.gone {
            self.descriptors.push_back((at, file));
        }
    }

    fn log(&mut self, record: LogRecord) {
        if self.gone {
            return self.unsent.push(record);
        }
        self.put(Kind::Log, |out| record.put(out));
        self.records.push((self.queued.len(), record));
    }

    fn end(&mut self, end: End) {
        self.put(Kind::End, |out| end.put(out));
    }

    fn fail(&mut self, status: u16) {
        self.answered = true;
        self.put(Kind::Fail, |out| Fail { status }.put(out));
    }

    fn flush(&mut self, wait: bool) -> Result<bool, Gone> {
        if !fork::is_ours() {
            return Err(Gone);
        }
        if self.sent < self.queued.len() && !self.reply.begin() {
            return Err(self.lost());
        }
        while self.sent < self.queued.len() {
            match self.send_some() {
                Ok(n) => {
                    TRANSFERS.fetch_add(1, Ordering::Relaxed);
                    self.sent += n;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if wait => self.wait(PollFlags::OUT).map_err(|Gone| self.lost())?,
                Err(Errno::AGAIN) => return Ok(false),
                Err(_) => return Err(self.lost()),
            }
        }
        if self.gone {
            return Err(self.lost());
        }
        if self.sent > 0 && !self.answered {
            self.reply.pause();
        }
        self.queued.clear();
        self.queued.shrink_to(KEPT);
        self.sent = 0;
        if !self.records.is_empty() {
            self.records.clear();
            order::sent(self.reply.socket.as_raw_fd());
        }
        Ok(true)
    }

    fn pull(&mut self, most: u32) -> Result<Option<Vec<u8>>, InputError> {
        self.put(Kind::Pull, |out| most.put(out));
        self.flush(true).map_err(|Gone| InputError::Gone)?;
        loop {
            let malformed = |_| InputError::Client(BodyError::Malformed);
            if let Some(frame) = frame::first(&self.received).map_err(malformed)? {
                let piece = match frame.kind {
                    Kind::Body => Ok(Some(frame.payload.to_vec())),
                    Kind::BodyEnd => Ok(None),
                    Kind::BodyError => {
                        Err(InputError::Client(BodyError::from_bytes(frame.payload).map_err(malformed)?))
                    }
                    _ => Err(InputError::Gone),
                };
                let size = frame.size();
                self.received.drain(..size);
                return piece;
            }
            // No timeout of ours here: how long a client may take is Apache's decision, which comes as `BodyError`.
            self.fill(RecvFlags::empty()).map_err(|Gone| {
                self.lost();
                InputError::Gone
            })?;
        }
    }

    fn unsent(&mut self) -> Vec<LogRecord> {
        std::mem::take(&mut self.unsent)
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.reply.socket.as_fd()
    }
}
