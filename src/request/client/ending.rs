//! The end of an exchange, for a request whose body may not have been read.
#![forbid(unsafe_code)]

use wsgi_wire::frame::Kind;
use wsgi_wire::header;
use wsgi_wire::response::Headers;

use super::{Disposition, HttpClient, SMALL};
use crate::httpd::response as httpd;
use crate::relay::outflow;
use crate::relay::violation::Violation;
use crate::request::linger;

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

    /// Sends what is still here of a response that is whole, or of its end. A small one is written at once, so that
    /// Apache finds the client's next request when it looks for it behind this one, and needs no other thread for it;
    /// and so is the end of one whose request has a body that was not read, because Apache would keep it until the rest
    /// of that has come. This is the last thing that is done for a request: its client may send the next one at once,
    /// and that must not find the application in the midst of this one.
    pub fn send_end(&mut self) {
        let is_unread = self.body.is_unread();
        let is_small = std::mem::take(&mut self.held);
        if is_small && self.response.send_whole(self.r).is_err() {
            // A client that is gone needs no answer.
            return;
        }
        if is_unread || is_small && httpd::sent(self.r) <= SMALL && !outflow::is_blocked(self) {
            let is_sent = self.response.flush(self.r).is_ok();
            if is_sent && is_small && !is_unread {
                linger::written(self.r);
            }
        }
    }

    /// Takes header lines that follow the content. Over HTTP/1.1 httpd sends none.
    pub(super) fn take_trailers(&mut self, headers: Headers<'_>) -> Result<(), Violation> {
        let is_first = !std::mem::replace(&mut self.trails, true);
        if !is_first || headers.clone().flatten().any(|(name, _)| !header::may_trail(name)) {
            return Err(Violation::OutOfPlace(Kind::Trailers));
        }
        if self.disposition == Disposition::Send && self.r.shares_connection() {
            let mut trailers = self.r.trailers_out_mut();
            headers.flatten().for_each(|(name, value)| trailers.add(name, value));
        }
        Ok(())
    }
}
