//! The frames that a connection sends: they wait here until the socket takes them, with the descriptors that go along.

mod content;
mod ring;

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use wsgi_unix::fork;
use wsgi_unix::timespec::timespec;
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;
use wsgi_wire::messages::internal;
use wsgi_wire::record::LogRecord;
use wsgi_wire::response::File;

use self::ring::Ring;
use crate::log::order;
use crate::log::record;
use crate::request::transport::Gone;
use crate::workers::response_right::ResponseRight;

/// How much of the buffer is kept from request to request, bytes: there may be hundreds of connections.
const KEPT: usize = 64 << 10;

/// The shortest content that goes through shared memory, bytes, unless some of the response has gone there before or it
/// comes in many pieces: shorter content costs less beside its head, in one message.
const SHARED: usize = 16 << 10;

/// How soon the next piece of a response comes that is made without waiting for anything.
const SOON: Duration = Duration::from_millis(1);

/// After how many pieces in a row that come soon the next ones go through shared memory. Those of an application that
/// waits in between would take that memory from others, and gain nothing.
const MANY: u32 = 16;

/// The number of sends and receives of all connections, and of pieces of content that children find: it shows whether
/// requests make progress.
pub(crate) static TRANSFERS: AtomicU64 = AtomicU64::new(0);

/// The frames of one connection that are to be sent, and whether the other side is there.
pub(super) struct Outgoing {
    /// The socket, shared with the monitor, and the right to answer on it.
    right: Arc<ResponseRight>,
    queued: Vec<u8>,
    /// Descriptors, and the offset in `queued` at which each goes out.
    descriptors: VecDeque<(usize, OwnedFd)>,
    sent: usize,
    /// The memory that content goes through, once there has been some that is long enough.
    ring: Option<Ring>,
    /// How many short pieces have come soon, each after the one before, and when the last one of several has.
    pieces: (u32, Instant),
    /// How many bytes the memory files hold that the child may not have picked up.
    in_files: usize,
    /// Records that may not have left yet, and the offset in `queued` where each ends.
    records: Vec<(usize, LogRecord)>,
    /// Records that could not be sent.
    unsent: Vec<LogRecord>,
    gone: bool,
    /// Whether the response itself has been queued.
    answered: bool,
    timeout: Option<Duration>,
}

impl Outgoing {
    /// Makes the empty queue of a connection. `timeout` bounds every single wait.
    pub(super) fn new(right: Arc<ResponseRight>, timeout: Option<Duration>) -> Self {
        Self {
            right,
            queued: Vec::new(),
            descriptors: VecDeque::new(),
            sent: 0,
            ring: None,
            pieces: (0, Instant::now()),
            in_files: 0,
            records: Vec::new(),
            unsent: Vec::new(),
            gone: false,
            answered: false,
            timeout,
        }
    }

    /// The socket, and the right to answer on it.
    pub(super) fn right(&self) -> &Arc<ResponseRight> {
        &self.right
    }

    /// Whether nothing is left to send and the other side is not known to be gone.
    pub(super) fn is_idle(&self) -> bool {
        !self.gone && self.queued.is_empty()
    }

    /// How many bytes have not left yet.
    pub(super) fn pending(&self) -> usize {
        self.queued.len() - self.sent
    }

    /// Prepares for another request, of whose response nothing has been queued.
    pub(super) fn request_begins(&mut self, exchange: u16) {
        self.answered = false;
        self.pieces.0 = 0;
        if let Some(ring) = &mut self.ring {
            ring.begin();
        }
        self.right.arrived(exchange);
    }

    /// Queues a frame that is part of the response itself: from now on nobody else may answer.
    pub(super) fn answer(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        self.answered = true;
        self.put(kind, write);
    }

    /// Queues a frame, behind all content that is there before it.
    pub(super) fn put(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        self.tell();
        self.put_alone(kind, write);
    }

    /// Queues a frame, with nothing before it.
    fn put_alone(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        if self.gone {
            return;
        }
        if let Err(error) = frame::put_in(self.right.exchange(), &mut self.queued, kind, write) {
            // Only headers or a record of several megabytes can be that long.
            record::process(&internal::RESPONSE_TOO_LONG, &format!("a response is cut off: {error}"));
            self.gone = true;
        }
    }

    /// Queues content of the response.
    pub(super) fn data(&mut self, content: &[u8]) {
        if content.is_empty() {
            return;
        }
        let follows = self.ring.as_ref().is_some_and(Ring::is_in_use);
        if (content.len() >= SHARED || follows || self.is_one_of_many()) && self.shares(content) {
            return;
        }
        self.mix();
        for piece in content.chunks(limits::INLINE_CHUNK) {
            self.put(Kind::Data, |out| out.extend_from_slice(piece));
        }
    }

    /// Whether a short piece of content comes soon after many others.
    fn is_one_of_many(&mut self) -> bool {
        let (number, last) = self.pieces;
        if number == 0 {
            // Most responses are one piece: that needs no clock.
            self.pieces.0 = 1;
            return false;
        }
        let now = Instant::now();
        let soon = number == 1 || now - last < SOON;
        self.pieces = (if soon { number + 1 } else { 1 }, now);
        soon && number >= MANY
    }

    /// Queues a message of a WebSocket.
    pub(super) fn message(&mut self, kind: Kind, content: &[u8]) {
        if !self.gone {
            frame::put_message(self.right.exchange(), &mut self.queued, kind, content, true);
        }
    }

    /// Queues a piece of a file.
    pub(super) fn file(&mut self, file: OwnedFd, piece: File) {
        self.mix();
        self.put_with(file, Kind::File, |out| piece.put(out));
    }

    /// Queues a frame that a descriptor goes along with.
    fn put_with(&mut self, descriptor: OwnedFd, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        // The descriptor goes with the first byte of its own frame.
        self.tell();
        let at = self.queued.len();
        self.put_alone(kind, write);
        if !self.gone {
            self.descriptors.push_back((at, descriptor));
        }
    }

    /// Queues a record.
    pub(super) fn log(&mut self, record: LogRecord) {
        if self.gone {
            return self.unsent.push(record);
        }
        self.put(Kind::Log, |out| record.put(out));
        self.records.push((self.queued.len(), record));
    }

    /// Sends what is queued. Returns `false` if it would have to wait for that and may not.
    ///
    /// # Errors
    /// [`Gone`] if the other side is.
    pub(super) fn flush(&mut self, wait: bool) -> Result<bool, Gone> {
        if !fork::is_ours() {
            return Err(Gone);
        }
        if self.sent < self.queued.len() && !self.right.begin() {
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
            self.right.pause();
        }
        self.queued.clear();
        self.queued.shrink_to(KEPT);
        self.sent = 0;
        if !self.records.is_empty() {
            self.records.clear();
            order::sent(self.right.socket.as_raw_fd());
        }
        Ok(true)
    }

    /// Waits until the socket can take or has data.
    fn wait(&self, flags: PollFlags) -> Result<(), Gone> {
        let timeout = self.timeout.map(timespec);
        loop {
            match poll(&mut [PollFd::new(&self.right.socket, flags)], timeout.as_ref()) {
                Ok(0) => return Err(Gone),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Sends once, without waiting, with the descriptor that is due. Returns how many bytes the socket took.
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
                    sendmsg(&self.right.socket, &[IoSlice::new(&self.queued[self.sent..next])], &mut control, flags)?;
                self.descriptors.pop_front();
                Ok(sent)
            }
            Some((at, _)) => send(&self.right.socket, &self.queued[self.sent..*at], flags),
            None => send(&self.right.socket, &self.queued[self.sent..], flags),
        }
    }

    /// Notes that the other side is gone.
    pub(super) fn lost(&mut self) -> Gone {
        self.gone = true;
        self.queued.clear();
        self.descriptors.clear();
        // The child has read all that was sent, and none of what was not: they must not be lost.
        let sent = self.sent;
        self.unsent.extend(self.records.drain(..).filter(|(end, _)| *end > sent).map(|(_, record)| record));
        self.sent = 0;
        Gone
    }

    /// Takes the records that could not be sent since the last time.
    pub(super) fn unsent(&mut self) -> Vec<LogRecord> {
        std::mem::take(&mut self.unsent)
    }
}
