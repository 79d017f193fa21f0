//! The body of a request on its way from the client: what has been read ahead, the rest, and its failure.
#![forbid(unsafe_code)]

use wsgi_wire::limits;
use wsgi_wire::request::BodyError;

use super::spool::Spool;
use crate::httpd::body::{BodyReadError, BodyReader, Taken};
use crate::httpd::request::Request;
use crate::policy::acceptance::BodyLength;
use crate::relay::admission::Admission;

/// How much is read at once, bytes.
const PIECE: usize = 64 << 10;

/// The body of one request.
pub struct ClientBody<'c> {
    reader: BodyReader,
    /// Whether the request has a body.
    exists: bool,
    /// What has been read of it already and comes before the rest.
    ahead: Spool,
    /// The right to have a thread before it is all there; given back when it is.
    upload: Option<Admission<'c>>,
    broken: bool,
    failure: Option<u16>,
    refusal: Option<u16>,
}

impl<'c> ClientBody<'c> {
    /// The body of a request, of which nothing has been read.
    pub fn new(r: &mut Request<'_>, length: BodyLength) -> Self {
        Self {
            // The body of a request belongs to no part of its response (a subrequest).
            exists: length != BodyLength::Known(0) && !r.is_part(),
            reader: BodyReader::new(r),
            ahead: Spool::default(),
            upload: None,
            broken: false,
            failure: None,
            refusal: None,
        }
    }

    /// Takes back what has been read ahead: the next [`read`](Self::read) gives it again.
    pub fn put_back(&mut self, ahead: Spool) {
        self.ahead = ahead;
    }

    /// Keeps the right to have a thread until the body is all there.
    pub fn holds(&mut self, upload: Admission<'c>) {
        self.upload = Some(upload);
    }

    /// Reads ahead, waiting for something or not. `None`: the body breaks off or is invalid.
    pub fn read_ahead(&mut self, r: &mut Request<'_>, max: usize, out: &mut Vec<u8>, wait: bool) -> Option<Taken> {
        let taken = match wait {
            true => self.reader.read(r, max, out).map(|some| if some { Taken::Some } else { Taken::End }),
            false => self.reader.take(r, max, out),
        };
        self.broken |= taken.is_err();
        taken.ok()
    }

    /// Reads up to `max` bytes, and waits for one at least; `false` after the last one.
    pub fn read(&mut self, r: &mut Request<'_>, max: usize, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        if self.ahead.left() > 0 {
            self.ahead.read(max, out);
            return Ok(true);
        }
        let more = self.reader.read(r, max, out).map_err(|failure| self.fail(&failure));
        if more == Ok(false) {
            self.upload = None;
        }
        more
    }

    /// As [`read`](Self::read), of what is there: `None` if that is nothing yet.
    pub fn take(&mut self, r: &mut Request<'_>, max: usize, out: &mut Vec<u8>) -> Result<Option<bool>, BodyError> {
        if self.broken && self.failure.is_some() {
            return Err(BodyError::TimedOut);
        }
        if self.ahead.left() > 0 {
            self.ahead.read(max, out);
            return Ok(Some(true));
        }
        match self.reader.take(r, max, out).map_err(|failure| self.fail(&failure))? {
            Taken::Nothing => Ok(None),
            Taken::Some => Ok(Some(true)),
            Taken::End => {
                self.upload = None;
                Ok(Some(false))
            }
        }
    }

    /// Reads on, what is there of a body whose client sends nothing more, as far as there is room, and keeps it.
    ///
    /// # Errors
    /// That is not all of it.
    pub fn look_ahead(&mut self, r: &mut Request<'_>) -> Result<(), BodyError> {
        let mut looks = 0;
        loop {
            match self.reader.take(r, PIECE, &mut self.ahead.bytes).map_err(|failure| self.fail(&failure))? {
                Taken::Some if self.ahead.count() => {}
                // The end of a connection is nothing at first, and an error of chunks when it is looked at again.
                Taken::Nothing if looks == 0 => looks += 1,
                Taken::Some | Taken::Nothing => return Ok(()),
                Taken::End => {
                    self.upload = None;
                    return Ok(());
                }
            }
        }
    }

    /// The client has been silent for too long.
    pub fn is_late(&mut self) -> BodyError {
        self.fail(&BodyReadError { status: 408, aborted: false, refused: false })
    }

    /// Whether nothing more of it comes.
    pub fn is_over(&self) -> bool {
        !self.exists || self.broken || self.ahead.left() == 0 && self.reader.has_ended()
    }

    /// Sends `100 Continue` to a client that waits for it.
    pub fn let_client_begin(&mut self, r: &mut Request<'_>) {
        if self.exists && r.expects_continue() {
            // A failure shows when the body is read.
            let _ = self.reader.read(r, 0, &mut Vec::new());
        }
    }

    fn fail(&mut self, failure: &BodyReadError) -> BodyError {
        self.upload = None;
        self.broken = true;
        self.failure = (!failure.aborted).then_some(failure.status);
        self.refusal = (failure.refused || failure.status == 408).then_some(failure.status);
        match failure.status {
            408 => BodyError::TimedOut,
            413 => BodyError::TooLarge,
            _ if failure.aborted => BodyError::Aborted,
            _ => BodyError::Malformed,
        }
    }

    /// Whether the body broke off: nobody knows where the next request would begin.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The status of a body that could not be read.
    pub fn failure(&self) -> Option<u16> {
        self.failure
    }

    /// The status with which Apache itself answers such a body, whatever the application makes of it: of one that a
    /// filter refuses, or that is too late.
    pub fn refusal(&self) -> Option<u16> {
        self.refusal
    }

    /// Whether there is a body that has not been read to its end.
    pub fn is_unread(&self) -> bool {
        self.exists && !self.reader.has_ended()
    }

    /// Drops what is there of the body, up to a bound. Returns whether that was all of it.
    pub fn discard(&mut self, r: &mut Request<'_>) -> bool {
        !self.exists || self.reader.discard(r, limits::DISCARDED_BODY)
    }
}
