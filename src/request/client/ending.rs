//! The end of an exchange, for a request whose body may not have been read.
#![forbid(unsafe_code)]

use super::HttpClient;
use crate::httpd::response as httpd;

impl HttpClient<'_, '_> {
    /// Ends the exchange. After a body that broke off nobody knows where the next request would begin, so the
    /// connection ends. That is said only now, because what is sent after it has no chunks.
    pub fn finish(&mut self) {
        if self.body.is_broken() {
            httpd::close_after(self.r);
        }
    }

    /// Prepares for a response that Apache makes itself: what has not been read of the request's body must not be taken
    /// for the next request. What is there of it is dropped; if that is not the rest, the connection ends after the
    /// response, and whoever makes that response sees no body.
    pub fn leave_body(&mut self) {
        if !self.body.discard(self.r) {
            httpd::close_after(self.r);
            self.r.forget_body();
        }
    }
}
