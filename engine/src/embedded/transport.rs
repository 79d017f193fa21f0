//! The way of a response from the engine to Apache in one process: function calls.

use std::any::Any;

use wsgi_unix::descriptor::OwnedFd;
use wsgi_unix::fork;
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::Kind;
use wsgi_wire::limits;
use wsgi_wire::question::Answer;
use wsgi_wire::record::LogRecord;
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{End, Fail, File, put_head, put_headers};

use crate::ffi::host::Host;
use crate::request::response_head::Head;
use crate::request::transport::{Gone, InputError, Transport};

/// What a small response has: head, content, end; and how many bytes they take.
const SMALL: (usize, usize) = (3, 512);

/// One frame that has not been handed to Apache yet.
struct Queued {
    kind: Kind,
    /// Where its payload ends, which begins where that of the frame before it does.
    end: usize,
    descriptor: Option<OwnedFd>,
}

/// The transport of a request in embedded mode. Frames are queued, and handed to Apache when the transport may block,
/// because Apache waits for slow clients.
pub(super) struct HostTransport {
    host: Host,
    queued: Vec<Queued>,
    /// The payloads of what is queued.
    payloads: Vec<u8>,
    /// Whether Apache has been handed content that it may still keep back.
    unflushed: bool,
    gone: bool,
}

impl HostTransport {
    /// The transport of a request that has not been answered yet.
    pub(super) fn new(host: Host) -> Self {
        let (queued, payloads) = (Vec::with_capacity(SMALL.0), Vec::with_capacity(SMALL.1));
        Self { host, queued, payloads, unflushed: false, gone: false }
    }

    fn queue(&mut self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        self.queue_with(None, kind, write);
    }

    /// Queues a frame that a descriptor goes along with.
    fn queue_with(&mut self, descriptor: Option<OwnedFd>, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
        // Records do not depend on the client.
        if !self.gone || kind == Kind::Log {
            write(&mut self.payloads);
            self.queued.push(Queued { kind, end: self.payloads.len(), descriptor });
        }
    }

    /// Hands Apache what is queued; may block.
    ///
    /// # Errors
    /// [`Gone`]
    pub(super) fn hand_over(&mut self) -> Result<(), Gone> {
        if !fork::is_ours() {
            return Err(Gone);
        }
        let mut start = 0;
        for Queued { kind, end, descriptor } in self.queued.drain(..) {
            let payload = &self.payloads[start..end];
            start = end;
            if (!self.gone || kind == Kind::Log) && !self.host.send_frame(kind, payload, descriptor) {
                self.gone = true;
            }
        }
        self.payloads.clear();
        if self.gone { Err(Gone) } else { Ok(()) }
    }
}

impl Transport for HostTransport {
    fn early_hints(&mut self, hints: &Head) {
        self.queue(Kind::EarlyHints, |out| put_headers(out, hints.headers()));
    }

    fn head(&mut self, head: &Head) {
        self.queue(Kind::Head, |out| put_head(out, head.status, head.reason(), head.headers()));
    }

    fn data(&mut self, content: &[u8]) {
        self.queue(Kind::Data, |out| out.extend_from_slice(content));
    }

    fn has_room(&self, length: usize) -> bool {
        self.payloads.len() + length <= limits::INLINE_CHUNK
    }

    fn pass(&mut self, content: &[u8]) -> Result<(), Gone> {
        self.hand_over()?;
        if !content.is_empty() {
            self.gone = !self.host.send_frame(Kind::Data, content, None);
            self.unflushed = true;
        }
        if self.gone { Err(Gone) } else { Ok(()) }
    }

    fn always_blocks(&self) -> bool {
        true
    }

    fn file(&mut self, file: OwnedFd, piece: File) {
        self.queue_with(Some(file), Kind::File, |out| piece.put(out));
    }

    fn log(&mut self, record: LogRecord) {
        self.queue(Kind::Log, |out| record.put(out));
    }

    fn end(&mut self, end: End) {
        self.queue(Kind::End, |out| end.put(out));
    }

    fn fail(&mut self, status: u16) {
        self.queue(Kind::Fail, |out| Fail { status }.put(out));
    }

    fn answer(&mut self, answer: &Answer) {
        self.queue(Kind::Answer, |out| answer.put(out));
    }

    fn flush(&mut self, wait: bool) -> Result<bool, Gone> {
        if !wait && (self.unflushed || self.queued.iter().any(|queued| queued.kind != Kind::Log)) {
            return Ok(false);
        }
        // The end sends everything, and what is no part of the response does not send its head.
        let pending = |queued: &Queued| matches!(queued.kind, Kind::Head | Kind::Data | Kind::File);
        let flush = wait && self.queued.last().map_or(self.unflushed, pending);
        self.hand_over()?;
        self.unflushed = false;
        if flush && !self.host.flush() {
            self.gone = true;
            return Err(Gone);
        }
        Ok(true)
    }

    fn leave(&mut self) -> Result<bool, Gone> {
        Ok(true)
    }

    fn pull(&mut self, max: u32, into: &mut Vec<u8>) -> Result<bool, InputError> {
        // What the client has to see before it sends more goes out first.
        self.flush(true).map_err(|Gone| InputError::Gone)?;
        match self.host.pull(max) {
            Some((Kind::Body, data)) => {
                into.extend_from_slice(data);
                Ok(true)
            }
            Some((Kind::BodyEnd, _)) => Ok(false),
            Some((Kind::BodyError, why)) => {
                Err(InputError::Client(BodyError::from_bytes(why).unwrap_or(BodyError::Malformed)))
            }
            _ => Err(InputError::Gone),
        }
    }

    fn ssl_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        self.host.ssl_variable(name).map(<[u8]>::to_vec)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
