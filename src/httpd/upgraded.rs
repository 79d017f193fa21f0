//! A client's connection that is no longer HTTP: bytes in both directions, through Apache's connection filters (TLS,
//! counters), without waiting.

use std::ffi::CStr;

use super::brigade::Brigade;
#[cfg(unix)]
use super::plain::PlainInput;
use super::request::Request;
use super::response::{self, close_after};
use super::sys;
use crate::relay::client::Gone;

/// How many bytes are read at once.
const READ: usize = 16 << 10;

/// How many bytes are passed down at once: less than what the core's output filter waits with (`FlushMaxThreshold`).
const WRITE: usize = 32 << 10;

/// The status of a connection that changes its protocol (RFC 9110, 15.2.2).
pub const SWITCHING_PROTOCOLS: u16 = 101;

/// The note of a request that has the code with which its WebSocket has ended: `%{wsgi-websocket-close}n` in a log.
const CLOSE: &CStr = c"wsgi-websocket-close";

/// Notes the code with which the WebSocket of a request has ended.
pub fn note_close(r: &mut Request<'_>, code: u16) {
    let code = r.pool().text(code.to_string().as_bytes());
    r.notes_mut().set(CLOSE, code);
}

/// The code with which the WebSocket of a request has ended, if it has been one.
pub fn close_code(r: &Request<'_>) -> Option<u16> {
    std::str::from_utf8(r.notes().get(CLOSE)?).ok()?.parse().ok()
}

/// Has httpd close the connection of a request that has been answered 101, and write nothing to it any more.
pub fn break_off(r: &mut Request<'_>) {
    close_after(r);
    // SAFETY: S1; the connection is this thread's as long as it serves the request.
    unsafe { (*r.rec().connection).aborted = 1 };
}

/// The connection of a request that has been answered 101.
pub struct Upgraded {
    input: Brigade,
    output: Brigade,
    /// Whether it is a stream of HTTP/2: what is sent there may have to be waited for, and goes on at once.
    is_stream: bool,
    /// Whether the request, which has no body, has still to come to its end, before anything else comes of a stream.
    request_ends: bool,
    /// How to read without the filters, if that makes no difference.
    #[cfg(unix)]
    plain: Option<PlainInput>,
    /// Whether the filters have nothing left of what they have read.
    #[cfg(unix)]
    is_drained: bool,
}

impl Upgraded {
    /// Answers 101 with these headers, and takes the connection: what follows is not HTTP, and ends with it.
    ///
    /// # Errors
    /// [`Gone`]: the client has gone meanwhile.
    pub fn begin<'h>(r: &mut Request<'_>, headers: impl Iterator<Item = (&'h [u8], &'h [u8])>) -> Result<Self, Gone> {
        close_after(r);
        response::send_interim(r, SWITCHING_PROTOCOLS, c"101 Switching Protocols", headers);
        response::set_status_code(r, SWITCHING_PROTOCOLS);
        // How slow a client may be is said by the WebSocket's own limits from here on, and what is sent goes at once.
        let (input, output) = (r.connection().input_filters, r.connection().output_filters);
        // SAFETY: S1; a filter is found by its name, or not.
        unsafe { sys::ap_remove_input_filter_byhandle(input, c"reqtimeout".as_ptr()) };
        // SAFETY: S1; as above.
        unsafe { sys::ap_remove_output_filter_byhandle(output, c"SSL/TLS Coalescing Filter".as_ptr()) };
        let (input, output) = (r.connection().input_filters, r.connection().output_filters);
        let record = r.rec_mut();
        // Nothing of HTTP looks at it any more, not even at its end.
        (record.input_filters, record.proto_input_filters) = (input, input);
        (record.output_filters, record.proto_output_filters) = (output, output);
        let is_stream = r.shares_connection();
        let upgraded = Self {
            input: Brigade::new(r),
            output: Brigade::new(r),
            is_stream,
            request_ends: is_stream,
            #[cfg(unix)]
            plain: PlainInput::of(r),
            #[cfg(unix)]
            is_drained: false,
        };
        if r.is_aborted() { Err(Gone) } else { Ok(upgraded) }
    }

    /// Appends bytes that have come. Returns whether more may have.
    ///
    /// # Errors
    /// [`Gone`]: nothing more comes.
    pub fn receive(&mut self, r: &mut Request<'_>, out: &mut Vec<u8>) -> Result<bool, Gone> {
        out.reserve(READ);
        #[cfg(unix)]
        if let (Some(plain), true) = (self.plain, self.is_drained) {
            return plain.receive(r, out);
        }
        let received = self.receive_filtered(r, out);
        #[cfg(unix)]
        {
            self.is_drained = received == Ok(false);
        }
        received
    }

    /// Appends bytes that come through the filters. Returns whether there were any.
    #[allow(clippy::multiple_unsafe_ops_per_block, reason = "one brigade is filled, measured, copied and emptied")]
    fn receive_filtered(&mut self, r: &mut Request<'_>, out: &mut Vec<u8>) -> Result<bool, Gone> {
        let (read, wait) = (sys::ap_input_mode_t::AP_MODE_READBYTES, sys::apr_read_type_e::APR_NONBLOCK_READ);
        let (filters, brigade, start) = (r.connection().input_filters, self.input.raw(), out.len());
        // SAFETY: S1; the brigade is ours, and AP_MODE_READBYTES puts at most `READ` bytes into it. `out` has room for
        // `length` of them, and that many are written where the flattening succeeds.
        let (status, is_last) = unsafe {
            let mut status = sys::ap_get_brigade(filters, brigade, read, wait, READ as i64);
            let mut length = READ;
            let is_last = status == 0 && sys::wsgi_shim_ends_with_eos(brigade) != 0;
            if status == 0 {
                status =
                    sys::apr_brigade_flatten(brigade, out.spare_capacity_mut().as_mut_ptr().cast(), &raw mut length);
            }
            if status == 0 {
                out.set_len(start + length);
            }
            sys::apr_brigade_cleanup(brigade.cast());
            (status, is_last)
        };
        let is_last = is_last && !std::mem::take(&mut self.request_ends);
        match status {
            0 if out.len() > start => Ok(true),
            0 if !is_last => Ok(false),
            status if status != 0 && response::is_would_block(status) => Ok(false),
            _ => Err(Gone),
        }
    }

    /// Passes down the first of these bytes, if nothing that was passed before is still held, and has what is held
    /// written as far as that goes at once. Returns how many were taken.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn send(&mut self, r: &mut Request<'_>, bytes: &[u8]) -> Result<usize, Gone> {
        if self.holds(r) {
            Self::push(r)?;
        }
        let piece = bytes.get(..bytes.len().min(WRITE)).unwrap_or_default();
        if piece.is_empty() || self.holds(r) {
            return Ok(0);
        }
        let (start, length) = (piece.as_ptr().cast(), piece.len());
        // SAFETY: S1; the bytes outlive the bucket: the brigade is emptied below, before this function returns.
        let bucket = unsafe { sys::apr_bucket_transient_create(start, length, r.bucket_allocator()) };
        // SAFETY: it has just been made with the allocator of the request.
        unsafe { self.output.append(bucket) };
        if self.is_stream {
            // SAFETY: S1; it is made with the allocator of the request.
            let flush = unsafe { sys::apr_bucket_flush_create(r.bucket_allocator()) };
            // SAFETY: as above.
            unsafe { self.output.append(flush) };
        }
        // SAFETY: S1; httpd may keep buckets, not the brigade.
        let status = unsafe { sys::ap_pass_brigade(r.connection().output_filters, self.output.raw()) };
        self.output.clear();
        if status != 0 || r.is_aborted() {
            return Err(Gone);
        }
        if !self.is_stream {
            Self::push(r)?;
        }
        response::count_sent(r, length);
        Ok(length)
    }

    /// Whether something that was passed down has not been written yet.
    pub fn holds(&self, r: &Request<'_>) -> bool {
        r.connection().data_in_output_filters != 0
    }

    /// Has the last filter, the core's, write what it holds, without waiting.
    fn push(r: &Request<'_>) -> Result<(), Gone> {
        let mut filter = r.connection().output_filters;
        // SAFETY: S1: a connection has filters, the last of which is the core's.
        while let Some(next) = unsafe { filter.as_ref() }.map(|filter| filter.next).filter(|next| !next.is_null()) {
            filter = next;
        }
        // SAFETY: as above.
        let Some(last) = (unsafe { filter.as_ref() }) else { return Err(Gone) };
        // SAFETY: a filter has its record.
        let Some(kind) = (unsafe { last.frec.as_ref() }) else { return Err(Gone) };
        // SAFETY: the function of an output filter is one for output.
        let Some(write) = (unsafe { kind.filter_func.out_func }) else { return Err(Gone) };
        // SAFETY: S1; the core's filter takes no brigade for the wish to go on with what it holds.
        let status = unsafe { write(filter, std::ptr::null_mut()) };
        if (status == 0 || response::is_would_block(status)) && !r.is_aborted() { Ok(()) } else { Err(Gone) }
    }
}
