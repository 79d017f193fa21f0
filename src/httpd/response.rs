//! The way of a response through Apache's output filters.

use std::ffi::{CStr, c_int};
use std::os::fd::{IntoRawFd, OwnedFd};

use super::request::Request;
use super::sys::{self, apr_bucket_brigade};

/// The client is gone, or a filter failed: there is nobody to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Sets the status line. `line` is the number, a space and the reason.
pub fn set_status(r: &mut Request<'_>, status: u16, line: &[u8]) {
    let line = r.pool().text(line);
    // SAFETY: S1; the copy lives in the request's pool.
    unsafe {
        (*r.raw()).status = c_int::from(status);
        (*r.raw()).status_line = line.as_ptr();
    }
}

/// The status that the response has so far.
pub fn status(r: &Request<'_>) -> u16 {
    u16::try_from(r.rec().status).unwrap_or(0)
}

/// Sets the status, with the reason that belongs to it.
pub fn set_status_code(r: &mut Request<'_>, status: u16) {
    // SAFETY: S1.
    unsafe { (*r.raw()).status = c_int::from(status) };
}

/// Writes a piece of a response whose handler is another module, into that module's own output.
pub fn write(r: &mut Request<'_>, text: &[u8]) {
    // SAFETY: S1; httpd copies what it does not send at once. A client that is gone needs no answer.
    unsafe { sys::ap_rwrite(text.as_ptr().cast(), c_int::try_from(text.len()).unwrap_or(c_int::MAX), r.raw()) };
}

/// Takes the status back, so that Apache's own error page or another URL takes the place of the response.
pub fn clear_status(r: &mut Request<'_>) {
    // SAFETY: S1.
    unsafe {
        (*r.raw()).status = sys::HTTP_OK;
        (*r.raw()).status_line = std::ptr::null();
    }
}

/// Sets the content type to the letter; filters that are chosen by type are added.
pub fn set_content_type(r: &mut Request<'_>, value: &[u8]) {
    let value = r.pool().text(value);
    // SAFETY: S1; the copy lives in the request's pool.
    unsafe { sys::ap_set_content_type(r.raw(), value.as_ptr()) };
}

/// Adds a response header, keeping those of the same name.
pub fn add_header(r: &mut Request<'_>, name: &[u8], value: &[u8]) {
    r.headers_out().add(name, value);
}

/// Sets a response header that there may be one of only.
pub fn set_header(r: &mut Request<'_>, name: &'static CStr, value: &[u8]) {
    let value = r.pool().text(value);
    r.headers_out().set(name, value);
}

/// Adds a response header that stays on Apache's error pages too.
pub fn add_error_header(r: &mut Request<'_>, name: &[u8], value: &[u8]) {
    r.error_headers_out().add(name, value);
}

/// Sends a `103 Early Hints` to a client that understands interim responses (HTTP/1.1 and later).
pub fn send_early_hints<'h>(r: &mut Request<'_>, headers: impl Iterator<Item = (&'h [u8], &'h [u8])>) {
    // SAFETY: S1; the tables live in the request's pool. What the response itself will be is put back as it was.
    unsafe {
        let raw = r.raw();
        if !(*raw).main.is_null() {
            // A part of another response.
            return;
        }
        let (status, line, table, expecting) =
            ((*raw).status, (*raw).status_line, (*raw).headers_out, (*raw).expecting_100);
        (*raw).headers_out = sys::apr_table_make((*raw).pool, 4);
        for (name, value) in headers {
            add_header(r, name, value);
        }
        (*raw).status = EARLY_HINTS;
        (*raw).status_line = c"103 Early Hints".as_ptr();
        sys::ap_send_interim_response(raw, 1);
        ((*raw).status, (*raw).status_line, (*raw).headers_out, (*raw).expecting_100) =
            (status, line, table, expecting);
    }
}

/// RFC 8297
const EARLY_HINTS: c_int = 103;

/// Has the response sent whole even if the client asks for ranges: what an application makes for one request need not be the same for the next.
pub fn answer_no_ranges(r: &mut Request<'_>) {
    if r.headers_in().get(c"Range").is_none() && r.headers_in().get(c"Request-Range").is_none() {
        return;
    }
    // SAFETY: S1. It is not found where the server has no such filter.
    unsafe { sys::ap_remove_output_filter_byhandle(r.rec().output_filters, c"BYTERANGE".as_ptr()) };
}

/// The connection ends after this response: its framing is not what the headers say.
pub fn close_after(r: &mut Request<'_>) {
    // SAFETY: S1.
    unsafe { (*(*r.raw()).connection).keepalive = sys::ap_conn_keepalive_e::AP_CONN_CLOSE };
}

/// Sets how long a write to the client may take; gives back what it was.
pub fn set_client_timeout(r: &mut Request<'_>, microseconds: i64) -> Option<i64> {
    // SAFETY: S1; the socket lives as long as the connection.
    unsafe {
        let socket = sys::ap_get_conn_socket(r.rec().connection);
        let mut before = 0;
        if socket.is_null() || sys::apr_socket_timeout_get(socket, &raw mut before) != 0 {
            return None;
        }
        (sys::apr_socket_timeout_set(socket, microseconds) == 0).then_some(before)
    }
}

/// The body of a response on its way: pieces are gathered, then passed down together.
pub struct ResponseBody {
    brigade: *mut apr_bucket_brigade,
    passed: bool,
}

impl ResponseBody {
    /// An empty body.
    pub fn new(r: &Request<'_>) -> Self {
        // SAFETY: S1; the brigade lives in the request's pool.
        let brigade = unsafe { sys::apr_brigade_create(r.rec().pool, (*r.rec().connection).bucket_alloc) };
        Self { brigade, passed: false }
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
        // SAFETY: S1; the bucket is made with the allocator of the brigade.
        unsafe { sys::wsgi_shim_append(self.brigade, make((*r.rec().connection).bucket_alloc)) };
    }

    /// Adds bytes and passes everything down; what a filter must keep longer it copies. `last` ends the body, `flush` sends it at once.
    ///
    /// # Errors
    /// [`Gone`]
    pub fn pass(&mut self, r: &mut Request<'_>, data: &[&[u8]], then: Then) -> Result<(), Gone> {
        for piece in data.iter().filter(|d| !d.is_empty()) {
            // SAFETY: the bytes outlive the bucket: the brigade is emptied below, before this function returns.
            unsafe {
                let bucket = sys::apr_bucket_transient_create(
                    piece.as_ptr().cast(),
                    piece.len(),
                    (*r.rec().connection).bucket_alloc,
                );
                sys::wsgi_shim_append(self.brigade, bucket);
            }
        }
        match then {
            Then::More => {}
            Then::Flush => self.append(r, sys::apr_bucket_flush_create),
            Then::End => self.append(r, sys::apr_bucket_eos_create),
        }
        self.send(r)
    }

    /// Adds a piece of a file. Apache sends it with mmap or sendfile where it may, and answers `Range` from it. A small piece is read here:
    /// Apache would read it too, and move the file position that the application shares with us.
    ///
    /// # Errors
    /// [`Gone`] if the file cannot be read or Apache does not take the descriptor.
    pub fn add_file(&mut self, r: &mut Request<'_>, file: OwnedFd, piece: FilePiece) -> Result<(), Gone> {
        if piece.length <= SMALL_FILE {
            return self.add_small_file(r, &file, piece);
        }
        let (Ok(offset), Ok(length)) = (i64::try_from(piece.offset), i64::try_from(piece.length)) else {
            return Err(Gone);
        };
        let mut taken = std::ptr::null_mut();
        // SAFETY: S1; the descriptor becomes the request's, which closes it at its end.
        unsafe {
            let (fd, sendfile) = (file.into_raw_fd(), c_int::from(piece.sendfile));
            if sys::wsgi_shim_take_file(&raw mut taken, fd, sendfile, r.raw()) != 0 {
                return Err(Gone);
            }
            let mmap = c_int::from(piece.mmap);
            sys::wsgi_shim_append_file(self.brigade, taken, offset, length, r.rec().pool, mmap);
        }
        Ok(())
    }

    fn add_small_file(&mut self, r: &Request<'_>, file: &OwnedFd, piece: FilePiece) -> Result<(), Gone> {
        let mut content = vec![0; piece.length as usize];
        let mut got = 0;
        while got < content.len() {
            let read = rustix::io::retry_on_intr(|| {
                rustix::io::pread(file, &mut content[got..], piece.offset.saturating_add(got as u64))
            });
            match read {
                Ok(0) | Err(_) => return Err(Gone),
                Ok(n) => got += n,
            }
        }
        // SAFETY: S1; without a free function the bucket copies the bytes.
        unsafe {
            let allocator = (*r.rec().connection).bucket_alloc;
            let bucket = sys::apr_bucket_heap_create(content.as_ptr().cast(), content.len(), None, allocator);
            sys::wsgi_shim_append(self.brigade, bucket);
        }
        Ok(())
    }

    /// Ends a response that is not whole so that no client takes it for a whole one: the chunked filter withholds its last chunk when
    /// it sees this error, and the connection is closed. This is what mod_proxy does when a backend breaks.
    pub fn abort(&mut self, r: &mut Request<'_>) {
        close_after(r);
        // SAFETY: S1; the bucket is made with the allocator of the brigade.
        unsafe {
            let bucket = sys::ap_bucket_error_create(
                sys::HTTP_BAD_GATEWAY,
                std::ptr::null(),
                r.rec().pool,
                (*r.rec().connection).bucket_alloc,
            );
            sys::wsgi_shim_append(self.brigade, bucket);
        }
        self.append(r, sys::apr_bucket_eos_create);
        // The client is told as far as it can be; there is nobody left to tell about a failure.
        let _ = self.send(r);
    }

    fn send(&mut self, r: &mut Request<'_>) -> Result<(), Gone> {
        // SAFETY: S1; httpd may keep buckets, not the brigade.
        let status = unsafe {
            let status = sys::ap_pass_brigade(r.rec().output_filters, self.brigade);
            sys::apr_brigade_cleanup(self.brigade.cast());
            status
        };
        if !self.passed {
            self.passed = true;
            // The header filter has seen it, and closes the connection of a client that still waits for `100 Continue`. From now on
            // reading the body must not send one: it would end up inside the response.
            // SAFETY: S1.
            unsafe { (*r.raw()).expecting_100 = 0 };
        }
        // SAFETY: S1.
        let aborted = unsafe { (*r.rec().connection).aborted != 0 };
        if status == 0 && !aborted { Ok(()) } else { Err(Gone) }
    }
}

/// Up to here Apache itself reads a file instead of mapping it (APR_MMAP_THRESHOLD is 8000).
const SMALL_FILE: u64 = 16 << 10;

/// A piece of a file, and how Apache may send it.
#[derive(Debug, Clone, Copy)]
pub struct FilePiece {
    /// Where it begins, bytes.
    pub offset: u64,
    /// How long it is, bytes.
    pub length: u64,
    /// `EnableMMAP`
    pub mmap: bool,
    /// `EnableSendfile` and `WSGIEnableSendfile`
    pub sendfile: bool,
}

/// What follows bytes that are passed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// More, soon: filters may gather.
    More,
    /// A pause: what is there is sent now.
    Flush,
    /// Nothing.
    End,
}
