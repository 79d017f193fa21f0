//! `request_rec`: what a hook may ask and change.
//!
//! Knows the fields of the record and the functions of httpd that take one. Must not know why somebody asks.

mod configuration;
mod provided;

use std::ffi::{CStr, CString, c_char, c_void};
use std::marker::PhantomData;

use super::bytes;
use super::pool::Pool;
use super::server::Server;
use super::sys::{self, request_rec};
use super::table::{Table, TableMut};

/// The request of a hook. Never kept beyond it: what must live longer is copied out.
pub struct Request<'r> {
    raw: *mut request_rec,
    life: PhantomData<&'r mut ()>,
}

/// What the file system said about `r->filename` when Apache mapped the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing is there.
    Missing,
    /// There is a directory.
    Directory,
    /// Anything else, with its modification time in microseconds.
    File(i64),
}

impl<'r> Request<'r> {
    /// # Safety
    /// `raw` is the request of a running hook, for the whole of `'r` (S1), and this is the only [`Request`] made of it.
    pub(crate) unsafe fn from_raw(raw: *mut request_rec) -> Self {
        Self { raw, life: PhantomData }
    }

    pub(super) fn raw(&self) -> *mut request_rec {
        self.raw
    }

    /// Where the record is, for applications that talk to httpd themselves (`WSGIPassApacheRequest`).
    pub fn address(&self) -> *mut c_void {
        self.raw.cast()
    }

    pub(super) fn rec(&self) -> &request_rec {
        // SAFETY: S1; nothing of ours holds a mutable reference to the record.
        unsafe { &*self.raw }
    }

    pub(super) fn rec_mut(&mut self) -> &mut request_rec {
        // SAFETY: S1; this is the only `Request` of the record, and it is borrowed exclusively.
        unsafe { &mut *self.raw }
    }

    fn text(&self, field: *const c_char) -> Option<&'r [u8]> {
        // SAFETY: callers pass string fields of the record: S1, S6.
        unsafe { bytes(field) }
    }

    /// The request's pool.
    pub fn pool(&self) -> Pool<'r> {
        // SAFETY: S1.
        unsafe { Pool::from_raw(self.rec().pool) }
    }

    /// The server that the request is for.
    pub fn server(&self) -> Server<'r> {
        // SAFETY: S5.
        unsafe { Server::from_raw(self.rec().server) }
    }

    fn table(&self, raw: *mut sys::apr_table_t) -> Table<'_, 'r> {
        // SAFETY: callers pass tables of the record: S1; to change one takes an exclusive borrow of this request, the
        // only one of the record.
        unsafe { Table::from_raw(raw) }
    }

    fn table_mut(&mut self, raw: *mut sys::apr_table_t) -> TableMut<'_, 'r> {
        let pool = self.pool();
        // SAFETY: callers pass tables of the record: S1; this request, the only one of the record, is borrowed
        // meanwhile.
        unsafe { TableMut::from_raw(raw, pool) }
    }

    /// The headers of the request.
    pub fn headers_in(&self) -> Table<'_, 'r> {
        self.table(self.rec().headers_in)
    }

    /// Request headers, to be changed.
    pub fn headers_in_mut(&mut self) -> TableMut<'_, 'r> {
        self.table_mut(self.rec().headers_in)
    }

    /// Response headers of a success.
    pub fn headers_out_mut(&mut self) -> TableMut<'_, 'r> {
        self.table_mut(self.rec().headers_out)
    }

    /// The headers of the response.
    pub fn headers_out(&self) -> Table<'_, 'r> {
        self.table(self.rec().headers_out)
    }

    /// The header lines that follow the content of the response.
    pub fn trailers_out_mut(&mut self) -> TableMut<'_, 'r> {
        self.table_mut(self.rec().trailers_out)
    }

    /// Response headers of every answer, Apache's error pages too.
    pub fn error_headers_out_mut(&mut self) -> TableMut<'_, 'r> {
        self.table_mut(self.rec().err_headers_out)
    }

    /// Variables of SetEnv, mod_ssl and others.
    pub fn environment(&self) -> Table<'_, 'r> {
        self.table(self.rec().subprocess_env)
    }

    /// Variables of SetEnv, mod_ssl and others, to be changed.
    pub fn environment_mut(&mut self) -> TableMut<'_, 'r> {
        self.table_mut(self.rec().subprocess_env)
    }

    /// What modules tell each other about this request.
    pub fn notes(&self) -> Table<'_, 'r> {
        self.table(self.rec().notes)
    }

    /// What modules tell each other about this request, to be changed.
    pub fn notes_mut(&mut self) -> TableMut<'_, 'r> {
        self.table_mut(self.rec().notes)
    }

    /// The path of the URL, decoded.
    pub fn uri(&self) -> &'r [u8] {
        self.text(self.rec().uri).unwrap_or(b"")
    }

    /// The request line as it came.
    pub fn line(&self) -> &'r [u8] {
        self.text(self.rec().the_request).unwrap_or(b"")
    }

    /// `HTTP/1.1` and the like.
    pub fn protocol(&self) -> &'r [u8] {
        self.text(self.rec().protocol).unwrap_or(b"")
    }

    /// The method as the client wrote it.
    pub fn method(&self) -> &'r [u8] {
        self.text(self.rec().method).unwrap_or(b"")
    }

    /// Whether the client's connection is open for another request behind this one.
    pub fn keeps_connection(&self) -> bool {
        let connection = self.connection();
        connection.keepalive == sys::ap_conn_keepalive_e::AP_CONN_KEEPALIVE && connection.aborted == 0
    }

    /// Whether Apache treats the method as GET, which it does for HEAD too.
    pub fn is_get(&self) -> bool {
        self.rec().method_number == sys::M_GET
    }

    /// Whether the answer has no body because the method is HEAD.
    pub fn is_head(&self) -> bool {
        self.rec().header_only != 0
    }

    /// The query string, raw.
    pub fn query(&self) -> &'r [u8] {
        self.text(self.rec().args).unwrap_or(b"")
    }

    /// The file that the request was mapped to.
    pub fn filename(&self) -> &'r [u8] {
        self.text(self.rec().filename).unwrap_or(b"")
    }

    /// What follows the file in the URL.
    pub fn path_info(&self) -> &'r [u8] {
        self.text(self.rec().path_info).unwrap_or(b"")
    }

    /// The handler that was chosen.
    pub fn handler(&self) -> &'r [u8] {
        self.text(self.rec().handler).unwrap_or(b"")
    }

    /// The name in the Host header.
    pub fn hostname(&self) -> Option<&'r [u8]> {
        self.text(self.rec().hostname)
    }

    /// The name of the user who was authenticated.
    pub fn user(&self) -> Option<&'r [u8]> {
        self.text(self.rec().user)
    }

    /// Sets the name of the user who was authenticated.
    pub fn set_user(&mut self, name: &[u8]) {
        let name = self.pool().text(name);
        // SAFETY: S1; the name lives in the request's pool, and nobody writes to it.
        unsafe { (*self.raw).user = name.as_ptr().cast_mut() };
    }

    /// The `AuthType` by which the client has said who it is.
    pub fn auth_type(&self) -> Option<&'r [u8]> {
        self.text(self.rec().ap_auth_type)
    }

    /// When Apache began to read the request, microseconds since the epoch.
    pub fn time(&self) -> u64 {
        u64::try_from(self.rec().request_time).unwrap_or(0)
    }

    /// The client's address, as mod_remoteip may have corrected it.
    pub fn client_ip(&self) -> &'r [u8] {
        self.text(self.rec().useragent_ip).unwrap_or(b"")
    }

    /// The client's name, where `HostnameLookups` finds one.
    pub fn remote_host(&self) -> Option<&'r [u8]> {
        // SAFETY: S1; the result lives with the request or its connection.
        self.text(unsafe { sys::wsgi_shim_remote_host(self.raw) })
    }

    /// What `ServerSignature` puts below pages that Apache makes.
    pub fn signature(&self) -> &'r [u8] {
        // SAFETY: S1; the result lives in the request's pool.
        self.text(unsafe { sys::ap_psignature(c"".as_ptr(), self.raw) }).unwrap_or(b"")
    }

    /// The client's port.
    pub fn client_port(&self) -> u16 {
        // SAFETY: S1; httpd sets the address when it accepts the connection.
        unsafe { self.rec().useragent_addr.as_ref() }.map_or(0, |a| a.port)
    }

    /// The address that the client connected to.
    pub fn local_ip(&self) -> &'r [u8] {
        self.text(self.connection().local_ip).unwrap_or(b"")
    }

    /// Host and port of the listening address.
    pub fn listener(&self) -> (&'r [u8], u16) {
        // SAFETY: S1; set when the connection is accepted.
        let address = unsafe { self.connection().local_addr.as_ref() };
        address.map_or((&b""[..], 0), |a| (self.text(a.hostname).unwrap_or(b""), a.port))
    }

    pub(super) fn connection(&self) -> &sys::conn_rec {
        // SAFETY: S1: a request has its connection.
        unsafe { &*self.rec().connection }
    }

    /// Whether the client is known to be gone.
    pub fn is_aborted(&self) -> bool {
        self.connection().aborted != 0
    }

    /// What buckets of this request are made with. It lives as long as the connection.
    pub(super) fn bucket_allocator(&self) -> *mut sys::apr_bucket_alloc_t {
        self.connection().bucket_alloc
    }

    /// Where `path_info` begins in `uri`: Apache's own rule, which allows for a URL that was rewritten.
    pub fn path_info_start(&self) -> usize {
        let r = self.rec();
        if r.uri.is_null() || r.path_info.is_null() {
            return self.uri().len();
        }
        // SAFETY: S1; both are strings.
        usize::try_from(unsafe { sys::ap_find_path_info(r.uri, r.path_info) }).unwrap_or(0)
    }

    /// What the request was mapped to.
    pub fn target(&self) -> Target {
        let info = &self.rec().finfo;
        match info.filetype {
            sys::apr_filetype_e::APR_NOFILE => Target::Missing,
            sys::apr_filetype_e::APR_DIR => Target::Directory,
            _ => Target::File(info.mtime),
        }
    }

    /// Whether this request stands for another one that was redirected internally, and its parts: URL, query string,
    /// user.
    pub fn redirected_from(&self) -> Option<[Option<&'r [u8]>; 3]> {
        // SAFETY: S1: the chain of redirects lives as long as the request.
        unsafe { self.rec().prev.as_ref() }.map(|p| [self.text(p.uri), self.text(p.args), self.text(p.user)])
    }

    /// Maps the request to a script of ours.
    pub fn map_to(&mut self, filename: &[u8], handler: &'static CStr) {
        // Both live as long as the request: httpd never writes through either.
        let filename = self.pool().text(filename);
        let record = self.rec_mut();
        (record.filename, record.handler) = (filename.as_ptr().cast_mut(), handler.as_ptr());
    }

    /// Says that the script is all but the last `rest` bytes of the file name, and that these follow it in the URL, if
    /// there is a regular file of that name. Then Apache walks the directories for the script alone, and does not look
    /// for what cannot be below a file.
    pub fn split_filename(&mut self, rest: usize) {
        let length = self.filename().len() - rest;
        let r = self.rec_mut();
        let whole = r.filename;
        // SAFETY: S1: the file name has at least that many bytes; the copy lives in the request's pool.
        let script = unsafe { sys::apr_pstrmemdup(r.pool, whole, length) };
        // SAFETY: S1: a place for what APR finds out, a string, and the pool for both.
        let found = unsafe { sys::apr_stat(&raw mut r.finfo, script, sys::APR_FINFO_MIN, r.pool) } == 0;
        if found && r.finfo.filetype == sys::apr_filetype_e::APR_REG {
            (r.filename, r.path_info) = (script, whole.wrapping_add(length));
        } else {
            r.finfo.filetype = sys::apr_filetype_e::APR_NOFILE;
        }
    }

    /// Whether this is a part of the response to another request (a subrequest).
    pub fn is_part(&self) -> bool {
        !self.rec().main.is_null()
    }

    /// Whether its connection is one of several within the client's own (HTTP/2).
    pub fn shares_connection(&self) -> bool {
        !self.connection().master.is_null()
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub fn expects_continue(&self) -> bool {
        self.rec().expecting_100 != 0
    }

    /// Whether a `Range` of the request counts: for GET alone (RFC 9110, 14.2).
    pub fn takes_ranges(&self) -> bool {
        self.is_get() && !self.is_head()
    }

    /// Whether the response goes through a filter of this name, in small letters.
    pub fn has_output_filter(&self, name: &CStr) -> bool {
        // SAFETY: S1.
        unsafe { sys::wsgi_shim_has_output_filter(self.raw, name.as_ptr()) != 0 }
    }

    /// Takes away what says that the request has a body. What the client still sends of it is the caller's to deal with
    /// before: it must have been read, or the connection must end, because nothing tells Apache any more where the next
    /// request begins.
    pub fn forget_body(&mut self) {
        self.headers_in_mut().unset(c"Content-Length");
        self.headers_in_mut().unset(c"Transfer-Encoding");
    }

    /// Serves the request again under another URL of this server, with GET and without a body; see
    /// [`Self::forget_body`].
    pub fn redirect_to(&mut self, url: &[u8]) {
        self.forget_body();
        let url = self.pool().text(url);
        let record = self.rec_mut();
        (record.method, record.method_number) = (c"GET".as_ptr(), sys::M_GET);
        // SAFETY: S1; the URL is a string of the request's pool.
        unsafe { sys::ap_internal_redirect_handler(url.as_ptr(), self.raw) };
    }
}

/// An environment variable of this process.
pub fn process_variable(name: &[u8]) -> Option<Vec<u8>> {
    CString::new(name).ok()?;
    std::env::var_os(wsgi_unix::native(name)).map(|value| wsgi_unix::bytes(&value).into_owned())
}
