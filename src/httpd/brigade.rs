//! A brigade of APR: the buckets that travel through filters together.

use super::request::Request;
use super::sys::{self, apr_bucket, apr_bucket_brigade};

/// A brigade of a request. It lives in the request's pool, and its buckets are made with the allocator of the request's
/// connection.
pub(super) struct Brigade {
    raw: *mut apr_bucket_brigade,
}

impl Brigade {
    /// Makes an empty brigade.
    pub(super) fn new(r: &Request<'_>) -> Self {
        // SAFETY: S1: pool and allocator live as long as the request.
        Self { raw: unsafe { sys::apr_brigade_create(r.rec().pool, r.bucket_allocator()) } }
    }

    pub(super) fn raw(&self) -> *mut apr_bucket_brigade {
        self.raw
    }

    /// Adds a bucket at the end.
    ///
    /// # Safety
    /// The bucket is in no brigade, and made with the [allocator](Request::bucket_allocator) of the request of this
    /// one.
    pub(super) unsafe fn append(&mut self, bucket: *mut apr_bucket) {
        // SAFETY: the brigade lives, and the caller's duty.
        unsafe { sys::wsgi_shim_append(self.raw, bucket) };
    }

    /// Destroys the buckets that are still in it.
    pub(super) fn clear(&mut self) {
        // SAFETY: the brigade lives, and its buckets are nobody else's.
        unsafe { sys::apr_brigade_cleanup(self.raw.cast()) };
    }
}
