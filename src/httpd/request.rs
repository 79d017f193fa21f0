//! `request_rec`: what a hook may ask and change.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::sync::OnceLock;

use wsgi_wire::record::Level;

use super::pool::Pool;
use super::server::{Server, level};
use super::sys::{self, request_rec};
use super::table::{Table, TableMut};
use super::{bytes, index};

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
    /// A folder.
    Folder,
    /// Anything else, with its modification time in microseconds.
    File(i64),
}

/// Settings of Apache's core for the directory of a request.
#[derive(Debug, Clone, Copy)]
pub struct CoreFlags {
    /// `CGIPassAuth On`
    pub pass_authorization: bool,
    /// `CGIVar REQUEST_URI current-uri`
    pub current_uri: bool,
    /// `EnableMMAP`
    pub mmap: bool,
    /// `EnableSendfile`
    pub sendfile: bool,
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
        // SAFETY: callers pass tables of the record: S1; to change one takes an exclusive borrow of this request, the only one of the record.
        unsafe { Table::from_raw(raw) }
    }

    fn table_mut(&mut self, raw: *mut sys::apr_table_t) -> TableMut<'_, 'r> {
        let pool = self.pool();
        // SAFETY: callers pass tables of the record: S1; this request, the only one of the record, is borrowed meanwhile.
        unsafe { TableMut::from_raw(raw, pool) }
    }

    /// Request headers.
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

    /// Response headers.
    pub fn headers_out(&self) -> Table<'_, 'r> {
        self.table(self.rec().headers_out)
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

    /// Who was authenticated.
    pub fn user(&self) -> Option<&'r [u8]> {
        self.text(self.rec().user)
    }

    /// Says who was authenticated: from here on this is the user.
    pub fn set_user(&mut self, name: &[u8]) {
        let name = self.pool().text(name);
        // SAFETY: S1; the name lives in the request's pool, and nobody writes to it.
        unsafe { (*self.raw).user = name.as_ptr().cast_mut() };
    }

    /// How.
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

    /// Whether `Satisfy Any` lets in who has a password, whatever is said of his address.
    pub fn satisfies_any(&self) -> bool {
        // SAFETY: S1.
        unsafe { sys::ap_satisfies(self.raw) == sys::SATISFY_ANY }
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

    /// What buckets of this request are made with. It lives as long as the connection.
    pub(super) fn bucket_allocator(&self) -> *mut sys::apr_bucket_alloc_t {
        self.connection().bucket_alloc
    }

    /// The server's name for URLs, as UseCanonicalName decides, escaped for HTML.
    pub fn server_name(&self) -> &'r [u8] {
        // SAFETY: S1; the name lives in the request's pool, or with the configuration.
        let name = unsafe { sys::ap_get_server_name_for_url(self.raw) };
        // SAFETY: a string, and a pool for its copy.
        self.text(unsafe { sys::ap_escape_html2(self.rec().pool, name, 0) }).unwrap_or(b"")
    }

    /// The server's port, as UseCanonicalName and UseCanonicalPhysicalPort decide.
    pub fn server_port(&self) -> u16 {
        // SAFETY: S1.
        unsafe { sys::ap_get_server_port(self.raw) }
    }

    /// The server's port, as `ServerName` or else the connection says: the client has no say in it, whatever UseCanonicalName is.
    pub fn own_port(&self) -> u16 {
        // SAFETY: S5.
        match unsafe { (*self.rec().server).port } {
            0 => self.listener().1,
            port => port,
        }
    }

    /// `http` or `https`, as Apache sees this hop, `ServerName https://…` or mod_ssl.
    pub fn scheme(&self) -> &'r [u8] {
        // SAFETY: S1; a static string.
        self.text(unsafe { sys::ap_run_http_scheme(self.raw) }).unwrap_or(b"http")
    }

    /// The server's banner (`ServerTokens`).
    pub fn banner(&self) -> &'r [u8] {
        // SAFETY: lives with the configuration.
        self.text(unsafe { sys::ap_get_server_banner() }).unwrap_or(b"")
    }

    /// `DocumentRoot`, the context's prefix and its own document root.
    pub fn roots(&self) -> [Option<&'r [u8]>; 3] {
        [sys::ap_document_root, sys::ap_context_prefix, sys::ap_context_document_root].map(|of| {
            // SAFETY: S1; each gives a string of the configuration or of the request, or null.
            self.text(unsafe { of(self.raw) })
        })
    }

    /// Whether mod_ssl (or who provides `ssl_is_https`) says that this connection is encrypted.
    pub fn is_https(&self) -> bool {
        type IsHttps = unsafe extern "C" fn(*mut sys::conn_rec) -> c_int;
        static LOOKED_UP: OnceLock<Option<IsHttps>> = OnceLock::new();
        let function = LOOKED_UP.get_or_init(|| {
            // SAFETY: optional functions are registered before the first request and stay.
            let found = unsafe { sys::apr_dynamic_fn_retrieve(c"ssl_is_https".as_ptr()) };
            // SAFETY: the type that mod_ssl.h declares for this name.
            found.map(|f| unsafe { std::mem::transmute::<unsafe extern "C" fn(), IsHttps>(f) })
        });
        // SAFETY: S1.
        function.is_some_and(|f| unsafe { f(self.rec().connection) } != 0)
    }

    /// A variable of mod_ssl (or of who provides `ssl_var_lookup`); empty where it has none of this name, `None` without mod_ssl.
    pub fn ssl_variable(&self, name: &[u8]) -> Option<&'r [u8]> {
        type Lookup = unsafe extern "C" fn(
            *mut sys::apr_pool_t,
            *mut sys::server_rec,
            *mut sys::conn_rec,
            *mut request_rec,
            *mut c_char,
        ) -> *mut c_char;
        static LOOKED_UP: OnceLock<Option<Lookup>> = OnceLock::new();
        let lookup = LOOKED_UP.get_or_init(|| {
            // SAFETY: optional functions are registered before the first request and stay.
            let found = unsafe { sys::apr_dynamic_fn_retrieve(c"ssl_var_lookup".as_ptr()) };
            // SAFETY: the type that mod_ssl.h declares for this name.
            found.map(|f| unsafe { std::mem::transmute::<unsafe extern "C" fn(), Lookup>(f) })
        });
        let (r, name) = (self.rec(), self.pool().text(name));
        // SAFETY: S1; the name is a copy of ours, the value lives in the request's pool or with the connection.
        self.text(unsafe { (*lookup)?(r.pool, r.server, r.connection, self.raw, name.as_ptr().cast_mut()) })
    }

    /// Apache's id of this request (`%L`), made if there is none yet.
    pub fn id(&self) -> &'r [u8] {
        let mut id = self.rec().log_id;
        if id.is_null() {
            // SAFETY: S1; a hook writes a string of the request's pool to that place, which is the request's own, as httpd has it.
            unsafe { sys::ap_run_generate_log_id(self.rec().connection, self.raw, &raw mut id) };
            // SAFETY: S1; no reference to the record is alive.
            unsafe { (*self.raw).log_id = id };
        }
        self.text(id).unwrap_or(b"")
    }

    /// Apache's id of the connection, if it has one already.
    pub fn connection_id(&self) -> Option<&'r [u8]> {
        self.text(self.connection().log_id)
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
            sys::apr_filetype_e::APR_DIR => Target::Folder,
            _ => Target::File(info.mtime),
        }
    }

    /// Whether `Options ExecCGI` is on.
    pub fn may_execute(&self) -> bool {
        // SAFETY: S1.
        unsafe { sys::ap_allow_options(self.raw) & sys::OPT_EXECCGI != 0 }
    }

    /// Whether `AcceptPathInfo Off` rejects what follows the file.
    pub fn rejects_path_info(&self) -> bool {
        self.rec().used_path_info == sys::AP_REQ_REJECT_PATH_INFO
    }

    /// The level up to which records of this module about the request are written.
    pub fn log_level(&self) -> Level {
        // SAFETY: S1.
        level(unsafe { sys::wsgi_shim_request_level(self.raw, index::get()) })
    }

    /// `LimitRequestBody`; 0 is no limit.
    pub fn body_limit(&self) -> u64 {
        // SAFETY: S1.
        u64::try_from(unsafe { sys::ap_get_limit_req_body(self.raw) }).unwrap_or(0)
    }

    /// Settings of Apache's core.
    pub fn core_flags(&self) -> CoreFlags {
        // SAFETY: S1.
        let flags = unsafe { sys::wsgi_shim_core_flags(self.raw) };
        CoreFlags {
            pass_authorization: flags & sys::WSGI_SHIM_CGI_PASS_AUTH != 0,
            current_uri: flags & sys::WSGI_SHIM_CURRENT_URI != 0,
            mmap: flags & sys::WSGI_SHIM_MMAP != 0,
            sendfile: flags & sys::WSGI_SHIM_SENDFILE != 0,
        }
    }

    /// Whether an input filter may make the body another one (`SetInputFilter DEFLATE`, say).
    pub fn has_input_filter(&self) -> bool {
        // SAFETY: S1.
        unsafe { sys::wsgi_shim_first_input_filter(self.raw) < sys::ap_filter_type::AP_FTYPE_PROTOCOL as c_int }
    }

    /// Whether a content filter (compression, say) stands in front of the protocol's own filters.
    pub fn has_content_filter(&self) -> bool {
        // SAFETY: S1.
        unsafe { sys::wsgi_shim_first_output_filter(self.raw) < sys::ap_filter_type::AP_FTYPE_PROTOCOL as c_int }
    }

    /// Whether this request stands for another one that was redirected internally, and its parts: URL, query string, user.
    pub fn redirected_from(&self) -> Option<[Option<&'r [u8]>; 3]> {
        // SAFETY: S1: the chain of redirects lives as long as the request.
        unsafe { self.rec().prev.as_ref() }.map(|p| [self.text(p.uri), self.text(p.args), self.text(p.user)])
    }

    /// Whether a `.htaccess` file says something about this request.
    pub fn has_htaccess(&self) -> bool {
        let mut next = self.rec().htaccess;
        // SAFETY: S1; httpd ends the list with null.
        while let Some(file) = unsafe { next.as_ref() } {
            if !file.htaccess.is_null() {
                return true;
            }
            next = file.next;
        }
        false
    }

    /// Whether `ErrorDocument` names a URL of this server for the status, which is then served by an internal redirect.
    pub fn has_local_error_document(&self, status: u16) -> bool {
        // SAFETY: takes a number, and gives an index of one of httpd's tables.
        let index = unsafe { sys::ap_index_of_response(status.into()) };
        // SAFETY: S1; the result is null, or lives with the configuration or in the request's pool.
        let document = self.text(unsafe { sys::ap_response_code_string(self.raw, index) });
        document.is_some_and(|document| document.starts_with(b"/"))
    }

    /// Maps the request to a script of ours.
    pub fn map_to(&mut self, filename: &[u8], handler: &'static CStr) {
        // Both live as long as the request: httpd never writes through either.
        let filename = self.pool().text(filename);
        let record = self.rec_mut();
        (record.filename, record.handler) = (filename.as_ptr().cast_mut(), handler.as_ptr());
    }

    /// Says that the script is all but the last `rest` bytes of the file name, and that these follow it in the URL, if there is a regular file of that
    /// name. Then Apache walks the directories for the script alone, and does not look for what cannot be below a file.
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

    /// Takes away what says that the request has a body. What the client still sends of it is the caller's to deal with before: it must have been
    /// read, or the connection must end, because nothing tells Apache any more where the next request begins.
    pub fn forget_body(&mut self) {
        self.headers_in_mut().unset(c"Content-Length");
        self.headers_in_mut().unset(c"Transfer-Encoding");
    }

    /// Serves the request again under another URL of this server, with GET and without a body; see [`Self::forget_body`].
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
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    CString::new(name).ok()?;
    std::env::var_os(std::ffi::OsStr::from_bytes(name)).map(OsStringExt::into_vec)
}
