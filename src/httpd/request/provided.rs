//! What httpd and other modules say of a request when they are asked: names, ports, TLS, ids.

use std::ffi::{c_char, c_int};
use std::sync::OnceLock;

use super::Request;
use crate::httpd::sys::{self, request_rec};

impl<'r> Request<'r> {
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

    /// The server's port, as `ServerName` or else the connection says: the client has no say in it, whatever
    /// UseCanonicalName is.
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

    /// A variable of mod_ssl (or of who provides `ssl_var_lookup`); empty where it has none of this name, `None`
    /// without mod_ssl.
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
            // SAFETY: S1; a hook writes a string of the request's pool to that place, which is the request's own, as
            // httpd has it.
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
}
