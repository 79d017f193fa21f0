//! Error pages that input filters send. HTTP_IN, for one, answers a chunk that is none by itself, while somebody reads the body: the application
//! would then add a second response to the first one, or to its own.

use std::ffi::c_int;
use std::ptr;

use super::guard;
use super::request::Request;
use super::sys::{self, ap_filter_rec_t, ap_filter_t, apr_bucket_brigade};

/// What a filter would have answered.
#[derive(Debug, Default)]
pub struct Refusal {
    status: c_int,
}

impl Refusal {
    /// The status of the error page, if there was one.
    pub fn status(&self) -> Option<u16> {
        u16::try_from(self.status).ok().filter(|status| *status > 0)
    }

    /// Runs `read` while whatever is sent to the client goes through a filter of ours, which keeps error pages back.
    pub(super) fn held_back<'r, R>(&mut self, r: &mut Request<'r>, read: impl FnOnce(&mut Request<'r>) -> R) -> R {
        // SAFETY: S1. The filter lives on this stack and is taken out again below. It belongs to no request, so that httpd does not take what
        // comes here for sent. Filters that are added meanwhile come behind it, into the chain that stays.
        unsafe {
            let mut kind: ap_filter_rec_t = std::mem::zeroed();
            kind.name = c"WSGI_REFUSAL".as_ptr();
            kind.filter_func.out_func = Some(keep);
            let raw = r.raw();
            let mut filter = ap_filter_t {
                frec: &raw mut kind,
                ctx: (&raw mut self.status).cast(),
                next: (*raw).output_filters,
                r: ptr::null_mut(),
                c: (*raw).connection,
            };
            (*raw).output_filters = &raw mut filter;
            let result = read(r);
            (*raw).output_filters = filter.next;
            result
        }
    }
}

unsafe extern "C" fn keep(filter: *mut ap_filter_t, brigade: *mut apr_bucket_brigade) -> c_int {
    guard::enter("a body that is refused", || {
        // SAFETY: httpd calls the filter made above, with its context, while that is in the chain.
        unsafe {
            let status = sys::wsgi_shim_error_status(brigade);
            if status == 0 {
                return sys::ap_pass_brigade((*filter).next, brigade);
            }
            (*filter).ctx.cast::<c_int>().write(status);
            sys::apr_brigade_cleanup(brigade.cast());
            sys::AP_FILTER_ERROR
        }
    })
}
