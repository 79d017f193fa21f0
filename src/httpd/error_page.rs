//! Error pages that input filters send are kept back. HTTP_IN answers an invalid chunk itself while the application
//! reads the body, and the application's response would follow as a second one.

use std::ffi::c_int;
use std::ptr;

use super::guard::{self, HookCode};
use super::request::Request;
use super::sys::{self, ap_filter_rec_t, ap_filter_t, apr_bucket_brigade};

/// What a filter would have answered.
#[derive(Debug, Default)]
pub struct KeptErrorPage {
    status: c_int,
}

impl KeptErrorPage {
    /// The status of the error page, if there was one.
    pub fn status(&self) -> Option<u16> {
        u16::try_from(self.status).ok().filter(|status| *status > 0)
    }

    /// Runs `read` while whatever is sent to the client goes through a filter of ours, which keeps error pages back.
    pub(super) fn held_back<'r, R>(&mut self, r: &mut Request<'r>, read: impl FnOnce(&mut Request<'r>) -> R) -> R {
        // SAFETY: a record of numbers, addresses and functions that need not be there: zeros are valid.
        let mut kind: ap_filter_rec_t = unsafe { std::mem::zeroed() };
        kind.name = c"WSGI_ERROR_PAGE".as_ptr();
        kind.filter_func.out_func = Some(keep);
        // It belongs to no request, so that httpd does not take what comes here for sent. It lives on this stack, and
        // is taken out again below.
        let mut filter = ap_filter_t {
            frec: &raw mut kind,
            ctx: (&raw mut self.status).cast(),
            next: r.rec().output_filters,
            r: ptr::null_mut(),
            c: r.rec().connection,
        };
        r.rec_mut().output_filters = &raw mut filter;
        let result = read(r);
        // Filters that have been added meanwhile are behind it, in the chain that stays.
        r.rec_mut().output_filters = filter.next;
        result
    }
}

unsafe extern "C" fn keep(filter: *mut ap_filter_t, brigade: *mut apr_bucket_brigade) -> c_int {
    let keep = || {
        // SAFETY: httpd calls the filter with a brigade.
        let status = unsafe { sys::wsgi_shim_error_status(brigade) };
        if status == 0 {
            // SAFETY: httpd calls the filter made above while that is in the chain.
            let next = unsafe { (*filter).next };
            // SAFETY: the brigade goes on to whom it would have gone to without this filter.
            return HookCode(unsafe { sys::ap_pass_brigade(next, brigade) });
        }
        // SAFETY: as above.
        let context = unsafe { (*filter).ctx };
        // SAFETY: the context is `KeptErrorPage::status`, which nobody looks at while the filter is in the chain.
        unsafe { context.cast::<c_int>().write(status) };
        // SAFETY: the brigade is the filter's to empty.
        unsafe { sys::apr_brigade_cleanup(brigade.cast()) };
        HookCode(sys::AP_FILTER_ERROR)
    };
    guard::enter("a body that is refused", keep).0
}
