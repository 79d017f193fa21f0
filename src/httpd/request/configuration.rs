//! What the configuration of httpd and of other modules says about a request.

use std::ffi::c_int;

use wsgi_wire::record::Level;

use super::Request;
use crate::httpd::index;
use crate::httpd::server::level;
use crate::httpd::sys;

/// Settings of Apache's core for the directory of a request.
#[derive(Debug, Clone, Copy)]
pub struct CoreFlags {
    /// Whether `CGIPassAuth On` holds.
    pub pass_authorization: bool,
    /// Whether `CGIVar REQUEST_URI current-uri` holds.
    pub current_uri: bool,
    /// Whether `EnableMMAP` is on.
    pub mmap: bool,
    /// Whether `EnableSendfile` is on.
    pub sendfile: bool,
}

impl Request<'_> {
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

    /// Whether all that stands between the request and its client passes content on without looking at it.
    pub fn sends_unseen(&self) -> bool {
        // SAFETY: S1.
        unsafe { sys::wsgi_shim_sends_unseen(self.raw) != 0 }
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
        // SAFETY: S1; the result is null, or lives with the configuration or in the request's pool.
        let document = self.text(unsafe { sys::wsgi_shim_error_document(self.raw, status.into()) });
        document.is_some_and(|document| document.starts_with(b"/"))
    }

    /// Whether `Satisfy Any` lets in who has a password, whatever is said of his address.
    pub fn satisfies_any(&self) -> bool {
        // SAFETY: S1.
        unsafe { sys::ap_satisfies(self.raw) == sys::SATISFY_ANY }
    }
}
