//! An HTTP client behind Apache, as the relay sees it.
#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::time::Duration;

use wsgi_wire::record::{Level, LogRecord};
use wsgi_wire::request::BodyError;
use wsgi_wire::response::{File, Head, Headers};

use super::ahead::Spool;
use super::answer::{self, Disposition};
use crate::httpd::body::{BodyFailure, BodyReader, Taken};
use crate::httpd::log::{self, Place};
use crate::httpd::request::Request;
use crate::httpd::response::{self as httpd, FilePiece, ResponseBody};
use crate::httpd::socket;
use crate::relay::admission::Admission;
use crate::relay::{Client, Gone, Then};

/// One request of a client, and the response on its way back.
pub struct HttpClient<'c, 'r> {
    r: &'c mut Request<'r>,
    body: BodyReader,
    /// What has been read of the body already and comes before the rest.
    ahead: Spool,
    /// The right to have a thread before the body is all there; given back when it is.
    upload: Option<Admission<'c>>,
    response: ResponseBody,
    disposition: Disposition,
    /// How many bytes of the announced length are still to come.
    missing: Option<u64>,
    body_broken: bool,
    body_failure: Option<u16>,
    /// The status with which Apache itself answers such a body, whatever the application makes of it: of one that a filter refuses, or that is too late.
    body_refusal: Option<u16>,
    rules: ResponseRules,
    place: Place<'c>,
}

/// What the place where the application runs decides about its responses.
#[derive(Debug, Clone, Copy)]
pub struct ResponseRules {
    /// The longest line of a head, bytes.
    pub header_limit: usize,
    /// Whether, as for CGI scripts, 200 with a local Location makes Apache serve that URL instead, and WSGIErrorOverride counts: in daemon mode.
    pub as_cgi: bool,
}

impl<'c, 'r> HttpClient<'c, 'r> {
    /// Begins.
    pub fn new(r: &'c mut Request<'r>, rules: ResponseRules, place: Place<'c>) -> Self {
        let (body, response) = (BodyReader::new(r), ResponseBody::new(r));
        Self {
            r,
            body,
            ahead: Spool::default(),
            upload: None,
            response,
            disposition: Disposition::Send,
            missing: None,
            body_broken: false,
            body_failure: None,
            body_refusal: None,
            rules,
            place,
        }
    }

    /// Takes back what has been read of the body: the next [`Client::read_body`] gives it again.
    pub fn put_back(&mut self, body: Spool) {
        self.ahead = body;
    }

    /// Keeps the right to have a thread until the body is all there.
    pub fn holds(&mut self, upload: Admission<'c>) {
        self.upload = Some(upload);
    }

    /// Reads ahead, waiting for something or not. `None`: the body breaks off, or is none; whoever reads it hears why, and it is only then that the failure
    /// decides about the response.
    pub fn read_ahead(&mut self, max: usize, out: &mut Vec<u8>, wait: bool) -> Option<Taken> {
        let taken = match wait {
            true => self.body.read(self.r, max, out).map(|some| if some { Taken::Some } else { Taken::End }),
            false => self.body.take(self.r, max, out),
        };
        self.body_broken |= taken.is_err();
        taken.ok()
    }

    /// Whether nothing comes from the client for so long, as far as that can be told.
    pub fn pauses(&self, wait: Duration) -> bool {
        socket::is_silent(self.r, wait)
    }

    fn broken(&mut self, failure: BodyFailure) -> BodyError {
        self.upload = None;
        self.body_broken = true;
        self.body_failure = (!failure.aborted).then_some(failure.status);
        self.body_refusal = (failure.refused || failure.status == 408).then_some(failure.status);
        match failure.status {
            408 => BodyError::TimedOut,
            413 => BodyError::TooLarge,
            _ if failure.aborted => BodyError::Aborted,
            _ => BodyError::Malformed,
        }
    }

    /// The request.
    pub fn request(&mut self) -> &mut Request<'r> {
        self.r
    }

    /// What is to be done when the response is over.
    pub fn disposition(&self) -> &Disposition {
        &self.disposition
    }

    /// The status of a request body that could not be read: it says more than the application's failure that followed from it.
    pub fn body_failure(&self) -> Option<u16> {
        self.body_failure
    }

    /// The exchange is over. After a body that broke off nobody knows where the next request would begin. That is said only now, because what is
    /// sent after it has no chunks.
    pub fn finish(&mut self) {
        if self.body_broken {
            httpd::close_after(self.r);
        }
    }

    /// Whether the client may have got a part of the response.
    pub fn has_passed(&self) -> bool {
        self.response.passed()
    }

    /// Ends a response that is not whole, so that the client can tell.
    pub fn abort(&mut self) {
        self.response.abort(self.r);
    }

    /// Ends the connection if the application has sent less than it announced.
    pub fn check_length(&mut self) {
        if self.missing.is_some_and(|n| n > 0) {
            httpd::close_after(self.r);
        }
    }

    fn count(&mut self, bytes: u64) {
        self.missing = self.missing.map(|n| n.saturating_sub(bytes));
    }
}

impl Client for HttpClient<'_, '_> {
    fn read_body(&mut self, max: usize, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        if self.ahead.left() > 0 {
            self.ahead.give(max, out);
            return Ok(true);
        }
        let more = self.body.read(self.r, max, out).map_err(|failure| self.broken(failure));
        if more == Ok(false) {
            self.upload = None;
        }
        more
    }

    fn ssl_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        self.r.ssl_variable(name).map(<[u8]>::to_vec)
    }

    fn log(&mut self, record: &LogRecord) {
        log::record(self.r, record, Some(self.place));
    }

    fn early_hints(&mut self, headers: Headers<'_>) {
        httpd::send_early_hints(self.r, answer::hints(headers));
    }

    fn head(&mut self, head: &Head<'_>) -> Result<(), u16> {
        if let Some(name) = answer::too_long(head, self.rules.header_limit) {
            let text = format!(
                "the response header {} is longer than header-buffer-size={} allows; raise this option of WSGIDaemonProcess",
                String::from_utf8_lossy(name),
                self.rules.header_limit
            );
            self.log(&log::ours(Level::Error, &text));
            return Err(500);
        }
        let override_errors = self.rules.as_cgi && self.r.settings().and_then(|s| s.error_override).unwrap_or(false);
        let body_expected = !self.r.is_head() && head.status != 204 && head.status != 304;
        self.disposition = match self.body_refusal {
            Some(status) => Disposition::Replace(status),
            None => answer::judge(head, override_errors, self.rules.as_cgi),
        };
        match &self.disposition {
            Disposition::Send => {
                answer::apply(self.r, head);
                self.missing = answer::content_length(head).filter(|_| body_expected);
            }
            Disposition::Replace(_) | Disposition::Redirect(_) => answer::apply_to_error(self.r, head),
        }
        Ok(())
    }

    fn data(&mut self, pieces: &[&[u8]], then: Then) -> Result<(), Gone> {
        if self.disposition != Disposition::Send {
            return Ok(());
        }
        self.count(pieces.iter().map(|p| p.len() as u64).sum());
        if then == Then::End {
            self.check_length();
        }
        if !self.response.passed() {
            httpd::answer_no_ranges(self.r);
        }
        self.response.pass(self.r, pieces, then)
    }

    fn file(&mut self, file: OwnedFd, piece: &File) -> Result<(), Gone> {
        if self.disposition != Disposition::Send {
            return Ok(());
        }
        self.count(piece.length);
        let core = self.r.core_flags();
        let sendfile = core.sendfile && self.r.settings().and_then(|s| s.enable_sendfile).unwrap_or(false);
        let (offset, length) = (piece.offset, piece.length);
        self.response.add_file(self.r, file, FilePiece { offset, length, mmap: core.mmap, sendfile })?;
        if piece.whole {
            return self.response.pass(self.r, &[], Then::End);
        }
        Ok(())
    }
}
