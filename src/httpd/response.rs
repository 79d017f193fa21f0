//! The way of a response through Apache's output filters.

use std::ffi::{CStr, c_char, c_int};
use std::time::Duration;

#[cfg(unix)]
use wsgi_unix::fork::mapped::Outside;

use super::brigade::Brigade;
use super::pool::Pool;
use super::request::Request;
use super::server;
use super::sys;
use super::table::TableMut;
use crate::relay::client::{Gone, Then};

/// Sets the status line. `line` is the number, a space and the reason.
pub fn set_status(r: &mut Request<'_>, status: u16, line: &[u8]) {
    let line = r.pool().text(line);
    // The copy lives as long as the request.
    (r.rec_mut().status, r.rec_mut().status_line) = (c_int::from(status), line.as_ptr());
}

/// The status that the response has so far.
pub fn status(r: &Request<'_>) -> u16 {
    u16::try_from(r.rec().status).unwrap_or(0)
}

/// How many bytes of content have been sent, as the filters have made them.
pub fn sent(r: &Request<'_>) -> u64 {
    u64::try_from(r.rec().bytes_sent).unwrap_or(u64::MAX)
}

/// Sets the status, with the reason that belongs to it.
pub fn set_status_code(r: &mut Request<'_>, status: u16) {
    r.rec_mut().status = c_int::from(status);
}

/// Writes a piece of a response whose handler is another module, into that module's own output.
pub fn write(r: &mut Request<'_>, text: &[u8]) {
    // SAFETY: S1; httpd copies what it does not send at once. A client that is gone needs no answer.
    unsafe { sys::ap_rwrite(text.as_ptr().cast(), c_int::try_from(text.len()).unwrap_or(c_int::MAX), r.raw()) };
}

/// Takes the status back, so that Apache's own error page or another URL takes the place of the response.
pub fn clear_status(r: &mut Request<'_>) {
    (r.rec_mut().status, r.rec_mut().status_line) = (sys::HTTP_OK, std::ptr::null());
}

/// Sets the content type; filters that are chosen by type are added. Where there are content filters the type itself is
/// written in small letters, as Apache's own handlers do it and its filters expect it; otherwise it stays as it is.
pub fn set_content_type(r: &mut Request<'_>, value: &[u8]) {
    let value = r.pool().text(value);
    if r.has_content_filter() {
        // SAFETY: a copy of ours, which nobody else knows yet, keeps its length.
        unsafe { sys::ap_content_type_tolower(value.as_ptr().cast_mut()) };
    }
    // SAFETY: S1; the copy lives in the request's pool.
    unsafe { sys::ap_set_content_type(r.raw(), value.as_ptr()) };
}

/// The first httpd that takes no handler from a content type which a handler has set (ap_mmn.h,
/// `ap_set_content_type_ex`).
const UNTRUSTED_CONTENT_TYPES: (u32, (u32, u32)) = (2, (4, 60));

/// Sets the content type for the URL that an internal redirect leads to, which keeps it where it finds no other. Before
/// httpd 2.4.60 a content type could name a handler, which is not the application's to choose: there it is left out.
pub fn hand_on_content_type(r: &mut Request<'_>, value: &[u8]) {
    if server::version() >= UNTRUSTED_CONTENT_TYPES {
        set_content_type(r, value);
    }
}

/// Sets `Last-Modified`; a time behind that of the response is replaced by that (RFC 9110, 8.8.2.1).
pub fn set_last_modified(r: &mut Request<'_>, value: &[u8]) {
    let value = r.pool().text(value);
    let now = r.rec().request_time;
    // SAFETY: a string.
    let time = unsafe { sys::apr_date_parse_http(value.as_ptr()) };
    let mut date: [c_char; sys::APR_RFC822_DATE_LEN as usize] = [0; sys::APR_RFC822_DATE_LEN as usize];
    // SAFETY: the buffer is as long as that function needs it; it writes a string there.
    if time > now && unsafe { sys::apr_rfc822_date(date.as_mut_ptr(), now) } == 0 {
        // SAFETY: as above.
        return set_header(r, c"Last-Modified", unsafe { CStr::from_ptr(date.as_ptr()) }.to_bytes());
    }
    r.headers_out_mut().set(c"Last-Modified", value);
}

/// Prepares a response whose content is a file of so many bytes, last modified then (µs since the epoch), as httpd does
/// it for its own: what an application says of the file's age and version stands. The status, where a condition of the
/// request makes the content unnecessary.
pub fn begin_file(r: &mut Request<'_>, length: u64, modified: i64, etag: &[u8]) -> Option<u16> {
    if r.headers_out().get(c"ETag").is_none() {
        set_header(r, c"ETag", etag);
    }
    let is_dated = r.headers_out().get(c"Last-Modified").is_some();
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    // SAFETY: S1.
    unsafe { sys::ap_set_content_length(r.raw(), length) };
    if !is_dated {
        // SAFETY: S1.
        unsafe { sys::ap_update_mtime(r.raw(), modified) };
        // SAFETY: S1.
        unsafe { sys::ap_set_last_modified(r.raw()) };
    }
    set_header(r, c"Accept-Ranges", b"bytes");
    // SAFETY: S1.
    let status = unsafe { sys::ap_meets_conditions(r.raw()) };
    u16::try_from(status).ok().filter(|status| *status != 0)
}

/// Adds a response header, keeping those of the same name.
pub fn add_header(r: &mut Request<'_>, name: &[u8], value: &[u8]) {
    r.headers_out_mut().add(name, value);
}

/// Sets a response header that there may be one of only.
pub fn set_header(r: &mut Request<'_>, name: &'static CStr, value: &[u8]) {
    let value = r.pool().text(value);
    r.headers_out_mut().set(name, value);
}

/// Adds a response header that stays on Apache's error pages too.
pub fn add_error_header(r: &mut Request<'_>, name: &[u8], value: &[u8]) {
    r.error_headers_out_mut().add(name, value);
}

/// Sends a `103 Early Hints` to a client that understands interim responses (HTTP/1.1 and later).
pub fn send_early_hints<'h>(r: &mut Request<'_>, headers: impl Iterator<Item = (&'h [u8], &'h [u8])>) {
    if !r.is_part() && r.rec().proto_num >= HTTP_1_1 {
        send_interim(r, EARLY_HINTS, c"103 Early Hints", headers);
    }
}

/// Sends an interim response at once. What the response itself will be stays as it was.
pub fn send_interim<'h>(
    r: &mut Request<'_>,
    status: u16,
    line: &'static CStr,
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
) {
    // The headers live in a pool of their own, which is gone before the next ones come.
    let mut own = std::ptr::null_mut();
    // SAFETY: S1; a place for the pool, which is one of the request's.
    if unsafe { sys::apr_pool_create_ex(&raw mut own, r.rec().pool, None, std::ptr::null_mut()) } != 0 {
        return;
    }
    // SAFETY: the pool has just been made.
    let sent = unsafe { sys::apr_table_make(own, 4) };
    // SAFETY: as above; it lives until the end of this function.
    let pool = unsafe { Pool::from_raw(own) };
    // SAFETY: the table has been made of that pool, and nobody else has it yet.
    let mut table = unsafe { TableMut::from_raw(sent, pool) };
    headers.for_each(|(name, value)| table.add(name, value));
    let record = r.rec_mut();
    let before = (record.status, record.status_line, record.headers_out, record.expecting_100);
    (record.status, record.status_line, record.headers_out) = (c_int::from(status), line.as_ptr(), sent);
    // SAFETY: S1.
    unsafe { sys::ap_send_interim_response(r.raw(), 1) };
    let record = r.rec_mut();
    (record.status, record.status_line, record.headers_out, record.expecting_100) = before;
    // SAFETY: nothing in it is used any more.
    unsafe { sys::apr_pool_destroy(own) };
}

/// Counts bytes that are sent past the filters that count content.
pub fn count_sent(r: &mut Request<'_>, bytes: usize) {
    let sent = r.rec().bytes_sent.saturating_add(i64::try_from(bytes).unwrap_or(i64::MAX));
    (r.rec_mut().bytes_sent, r.rec_mut().sent_bodyct) = (sent, 1);
}

/// Whether a status of APR says that something would have to be waited for.
pub(super) fn is_would_block(status: i32) -> bool {
    // SAFETY: a pure comparison of numbers.
    unsafe { sys::wsgi_shim_is_would_block(status) != 0 }
}

/// HTTP/1.1, as `request_rec::proto_num` has it.
const HTTP_1_1: c_int = 1001;

/// The status of early hints (RFC 8297).
const EARLY_HINTS: u16 = 103;

/// Has the response sent whole even if the client asks for ranges: what an application makes for one request need not
/// be the same for the next.
pub fn answer_no_ranges(r: &mut Request<'_>) {
    if r.headers_in().get(c"Range").is_none() && r.headers_in().get(c"Request-Range").is_none() {
        return;
    }
    // SAFETY: S1. It is not found where the server has no such filter.
    unsafe { sys::ap_remove_output_filter_byhandle(r.rec().output_filters, c"BYTERANGE".as_ptr()) };
}

/// The connection ends after this response: its framing is not what the headers say.
pub fn close_after(r: &mut Request<'_>) {
    let connection = r.rec().connection;
    // SAFETY: S1: a request has its connection, which its thread alone uses.
    unsafe { (*connection).keepalive = sys::ap_conn_keepalive_e::AP_CONN_CLOSE };
}

/// The socket of the client's connection, if it has one of its own.
fn client_socket(r: &Request<'_>) -> Option<*mut sys::apr_socket_t> {
    // SAFETY: S1; the socket lives as long as the connection.
    let socket = unsafe { sys::ap_get_conn_socket(r.rec().connection) };
    (!socket.is_null()).then_some(socket)
}

/// How long a write to the client may take, in microseconds; negative is without end.
fn socket_timeout(r: &Request<'_>) -> Option<i64> {
    let mut microseconds = 0;
    // SAFETY: S1; a place for a number.
    (unsafe { sys::apr_socket_timeout_get(client_socket(r)?, &raw mut microseconds) } == 0).then_some(microseconds)
}

/// How long a write to the client may take; `None` is without end.
pub fn client_timeout(r: &Request<'_>) -> Option<Duration> {
    u64::try_from(socket_timeout(r)?).ok().map(Duration::from_micros)
}

/// Sets how long a write to the client may take; gives back what it was.
pub fn set_client_timeout(r: &mut Request<'_>, microseconds: i64) -> Option<i64> {
    let before = socket_timeout(r)?;
    // SAFETY: S1; the socket lives as long as the connection.
    (unsafe { sys::apr_socket_timeout_set(client_socket(r)?, microseconds) } == 0).then_some(before)
}

/// The body of a response on its way: pieces are gathered, then passed down together.
pub struct ResponseBody {
    pub(super) brigade: Brigade,
    passed: bool,
    failed: bool,
}

impl ResponseBody {
    /// An empty body.
    pub fn new(r: &Request<'_>) -> Self {
        Self { brigade: Brigade::new(r), passed: false, failed: false }
    }

    /// Whether anything, the headers at least, has been passed down.
    pub fn passed(&self) -> bool {
        self.passed
    }

    fn append(
        &mut self,
        r: &Request<'_>,
        make: unsafe extern "C" fn(*mut sys::apr_bucket_alloc_t) -> *mut sys::apr_bucket,
    ) {
        // SAFETY: S1: the allocator is that of the request.
        let bucket = unsafe { make(r.bucket_allocator()) };
        // SAFETY: it has just been made with that.
        unsafe { self.brigade.append(bucket) };
    }

    /// Adds bytes and passes everything down; what a filter must keep longer it copies. `last` ends the body, `flush`
    /// sends it at once.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn pass(&mut self, r: &mut Request<'_>, data: &[&[u8]], then: Then) -> Result<(), Gone> {
        // SAFETY: the pieces are borrowed.
        unsafe { self.pass_from(r, data.iter().map(|piece| (piece.as_ptr(), piece.len())), then) }
    }

    /// As [`Self::pass`], for bytes that another process may change: httpd's own filters copy them or write them.
    ///
    /// # Errors
    /// [`Gone`]
    #[cfg(unix)]
    pub fn pass_unseen(&mut self, r: &mut Request<'_>, data: &[Outside<'_>], then: Then) -> Result<(), Gone> {
        // SAFETY: the mapping that they lie in is borrowed.
        unsafe { self.pass_from(r, data.iter().map(|piece| (piece.start(), piece.length())), then) }
    }

    /// Passes down what lies at these places.
    ///
    /// # Safety
    /// They are readable until this is over.
    unsafe fn pass_from(
        &mut self,
        r: &mut Request<'_>,
        data: impl Iterator<Item = (*const u8, usize)>,
        then: Then,
    ) -> Result<(), Gone> {
        for (start, length) in data.filter(|(_, length)| *length > 0) {
            let start = start.cast();
            // SAFETY: S1; the bytes outlive the bucket: the brigade is emptied below, before this function returns.
            let bucket = unsafe { sys::apr_bucket_transient_create(start, length, r.bucket_allocator()) };
            // SAFETY: it has just been made with the allocator of the request.
            unsafe { self.brigade.append(bucket) };
        }
        match then {
            Then::More => {}
            Then::Flush => self.append(r, sys::apr_bucket_flush_create),
            Then::End => self.append(r, sys::apr_bucket_eos_create),
        }
        self.send(r)
    }

    /// Keeps a copy of the whole content, for [`Self::send_whole`].
    pub fn hold_whole(&mut self, r: &Request<'_>, data: &[&[u8]]) {
        for piece in data.iter().filter(|d| !d.is_empty()) {
            self.append_copy(r, piece);
        }
    }

    /// Passes down what [`Self::hold_whole`] has kept, and the end.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn send_whole(&mut self, r: &mut Request<'_>) -> Result<(), Gone> {
        self.pass(r, &[], Then::End)
    }

    /// Has what was passed down with the end of the response sent at once, past the request's own filters: these are
    /// done with it.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn flush(&mut self, r: &mut Request<'_>) -> Result<(), Gone> {
        self.append(r, sys::apr_bucket_flush_create);
        self.send_through(r, r.connection().output_filters)
    }

    pub(super) fn append_copy(&mut self, r: &Request<'_>, content: &[u8]) {
        let (start, length) = (content.as_ptr().cast(), content.len());
        // SAFETY: S1; without a free function the bucket copies the bytes.
        let bucket = unsafe { sys::apr_bucket_heap_create(start, length, None, r.bucket_allocator()) };
        // SAFETY: it has just been made with the allocator of the request.
        unsafe { self.brigade.append(bucket) };
    }

    /// Ends a response that is not whole so that no client takes it for a whole one: the chunked filter withholds its
    /// last chunk when it sees this error, and the connection is closed. This is what mod_proxy does when a backend
    /// breaks.
    pub fn abort(&mut self, r: &mut Request<'_>) {
        close_after(r);
        let (pool, allocator) = (r.rec().pool, r.bucket_allocator());
        // SAFETY: S1; there is no message.
        let error = unsafe { sys::ap_bucket_error_create(sys::HTTP_BAD_GATEWAY, std::ptr::null(), pool, allocator) };
        // SAFETY: it has just been made with the allocator of the request.
        unsafe { self.brigade.append(error) };
        self.append(r, sys::apr_bucket_eos_create);
        // The client is told as far as it can be; there is nobody left to tell about a failure.
        let _ = self.send(r);
    }

    fn send(&mut self, r: &mut Request<'_>) -> Result<(), Gone> {
        self.send_through(r, r.rec().output_filters)
    }

    fn send_through(&mut self, r: &mut Request<'_>, filters: *mut sys::ap_filter_t) -> Result<(), Gone> {
        // SAFETY: S1; httpd may keep buckets, not the brigade.
        let status = unsafe { sys::ap_pass_brigade(filters, self.brigade.raw()) };
        self.brigade.clear();
        let is_first = !std::mem::replace(&mut self.passed, true);
        if is_first {
            // The header filter has seen it, and closes the connection of a client that still waits for `100 Continue`.
            // From now on reading the body must not send one: it would end up inside the response.
            r.rec_mut().expecting_100 = 0;
        }
        let aborted = r.connection().aborted != 0;
        if status == 0 && !aborted {
            return Ok(());
        }
        // A filter has failed, or a file could not be read, and the client is still there: it must be able to tell.
        // Before the headers have left a filter may instead have given another answer, an error page, which this status
        // says.
        let is_answered = is_first && status == sys::AP_FILTER_ERROR;
        if !aborted && !is_answered && !std::mem::replace(&mut self.failed, true) {
            self.abort(r);
        }
        Err(Gone)
    }
}
