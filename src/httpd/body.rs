//! The request body, read from Apache's input filters.

use super::error_page::KeptErrorPage;
use super::request::Request;
use super::response::is_would_block;
use super::sys::{self, apr_bucket_brigade};

/// Why a body cannot be read to its end, as the status that Apache gives the client for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyReadError {
    /// The HTTP status: 408, 413, 400 and others.
    pub status: u16,
    /// Whether the client is gone rather than wrong.
    pub aborted: bool,
    /// Whether a filter has given its answer, an error page, for the whole request.
    pub refused: bool,
}

/// How much is dropped at once, bytes.
const PIECE: usize = 64 << 10;

/// What [`BodyReader::take`] has found of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Some bytes, which have been appended.
    Some,
    /// Nothing yet: the client has sent no more.
    Nothing,
    /// The end of the body.
    End,
}

/// A request body that is read piece by piece.
pub struct BodyReader {
    brigade: *mut apr_bucket_brigade,
    ended: bool,
    /// A failure behind bytes that were handed out first.
    failed: Option<BodyReadError>,
    error_page: KeptErrorPage,
}

impl BodyReader {
    /// The body of a request. Nothing is read yet, so no `100 Continue` is sent.
    pub fn new(r: &Request<'_>) -> Self {
        // SAFETY: S1; the brigade lives in the request's pool.
        let brigade = unsafe { sys::apr_brigade_create(r.rec().pool, r.bucket_allocator()) };
        Self { brigade, ended: false, failed: None, error_page: KeptErrorPage::default() }
    }

    /// Appends one to `max` bytes to `out`: waits for the first of them, then takes what is there. `Ok(false)` means
    /// the body has ended and nothing was appended.
    ///
    /// # Errors
    /// [`BodyReadError`] if the client is gone, too slow, or sends what is no valid body.
    pub fn read(&mut self, r: &mut Request<'_>, max: usize, out: &mut Vec<u8>) -> Result<bool, BodyReadError> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        if max == 0 {
            return match self.fill(r, 0, true, out) {
                Err(status) if !is_would_block(status) => Err(self.fail(r, status)),
                _ => Ok(true),
            };
        }
        let start = out.len();
        while !self.ended && out.len() - start < max {
            let wait = out.len() == start;
            match self.fill(r, max - (out.len() - start), wait, out) {
                Ok(0) if !wait => break,
                Ok(_) => {}
                Err(status) if !wait && is_would_block(status) => break,
                Err(status) => {
                    let failure = self.fail(r, status);
                    if wait {
                        return Err(failure);
                    }
                    break;
                }
            }
        }
        Ok(out.len() > start)
    }

    /// Whether everything has been read.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Drops what is there of the rest, at most `max` bytes, without waiting for more. `false` if that was not the
    /// whole rest.
    pub fn discard(&mut self, r: &mut Request<'_>, max: usize) -> bool {
        // A client that waits for `100 Continue` would be told to send it.
        if self.failed.is_some() || r.expects_continue() && !self.ended {
            return false;
        }
        let (mut left, mut dropped) = (max, Vec::new());
        while !self.ended && left > 0 {
            dropped.clear();
            match self.fill(r, left.min(PIECE), false, &mut dropped) {
                Ok(read) if read > 0 || self.ended => left -= read,
                _ => return false,
            }
        }
        self.ended
    }

    /// Appends up to `max` bytes to `out`, as far as they are there.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn take(&mut self, r: &mut Request<'_>, max: usize, out: &mut Vec<u8>) -> Result<Taken, BodyReadError> {
        if let Some(failure) = self.failed {
            return Err(failure);
        }
        if self.ended {
            return Ok(Taken::End);
        }
        match self.fill(r, max, false, out) {
            Ok(0) if self.ended => Ok(Taken::End),
            Ok(0) => Ok(Taken::Nothing),
            Ok(_) => Ok(Taken::Some),
            Err(status) if is_would_block(status) => Ok(Taken::Nothing),
            Err(status) => Err(self.fail(r, status)),
        }
    }

    /// Asks the filters once for at most `max` bytes and appends them. Gives their number, or APR's status.
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "one brigade is filled, measured, copied and emptied")]
    fn fill(&mut self, r: &mut Request<'_>, max: usize, wait: bool, out: &mut Vec<u8>) -> Result<usize, i32> {
        let block = if wait { sys::apr_read_type_e::APR_BLOCK_READ } else { sys::apr_read_type_e::APR_NONBLOCK_READ };
        let bytes = i64::try_from(max).unwrap_or(i64::MAX);
        let start = out.len();
        // SAFETY: S1; the brigade is ours, and AP_MODE_READBYTES puts at most `bytes` bytes into it. `out` has room for
        // `length` of them, and that many are written where the flattening succeeds.
        unsafe {
            let read = sys::ap_input_mode_t::AP_MODE_READBYTES;
            let mut status = self
                .error_page
                .held_back(r, |r| sys::ap_get_brigade(r.rec().input_filters, self.brigade, read, block, bytes));
            if self.error_page.status().is_some() {
                status = sys::AP_FILTER_ERROR;
            }
            let mut length = 0;
            if status == 0 {
                status = sys::apr_brigade_length(self.brigade, 1, &raw mut length);
            }
            let mut length = usize::try_from(length).unwrap_or(0).min(max);
            out.reserve(length);
            if status == 0 {
                self.ended = sys::wsgi_shim_ends_with_eos(self.brigade) != 0;
                let room = out.spare_capacity_mut().as_mut_ptr().cast();
                status = sys::apr_brigade_flatten(self.brigade, room, &raw mut length);
            }
            sys::apr_brigade_cleanup(self.brigade.cast());
            if status != 0 {
                return Err(status);
            }
            out.set_len(start + length);
            Ok(length)
        }
    }

    fn fail(&mut self, r: &Request<'_>, status: i32) -> BodyReadError {
        let failure = self.failure(r, status);
        *self.failed.insert(failure)
    }

    fn failure(&self, r: &Request<'_>, status: i32) -> BodyReadError {
        if let Some(status) = self.error_page.status() {
            return BodyReadError { status, aborted: false, refused: true };
        }
        // A filter, such as that of mod_deflate, makes nothing of what has come from a client that is still there.
        // SAFETY: S1.
        let is_there = unsafe { (*r.rec().connection).aborted == 0 };
        let senseless = status == sys::APR_EGENERAL && is_there;
        // SAFETY: a pure mapping of numbers.
        let mapped = unsafe { sys::ap_map_http_request_error(status, sys::HTTP_BAD_REQUEST) };
        let timed_out = status == sys::APR_TIMEUP;
        BodyReadError {
            status: if timed_out { 408 } else { u16::try_from(mapped).unwrap_or(400) },
            aborted: !timed_out && !senseless && mapped == sys::HTTP_BAD_REQUEST,
            refused: false,
        }
    }
}
