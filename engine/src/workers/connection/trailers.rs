//! The header lines that follow the content of a response.

use wsgi_wire::frame::Kind;
use wsgi_wire::response::put_headers;

use super::Connection;
use crate::request::response_head::Head;

impl Connection {
    /// Queues header lines that follow the content.
    pub(crate) fn send_trailers(&mut self, head: &Head) {
        self.outgoing.put(Kind::Trailers, |out| put_headers(out, head.headers()));
    }
}
