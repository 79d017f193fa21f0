//! What a request in Apache's hands is to whoever executes it, whether a response or an answer to a question follows.
#![forbid(unsafe_code)]

use wsgi_wire::record::LogRecord;

use crate::httpd::log::{self, Execution};
use crate::httpd::request::Request;
use crate::relay::client::RequestContext;

/// A client whose request is in Apache's hands.
pub trait OfApache {
    /// The request, and where it is executed.
    fn context(&self) -> (&Request<'_>, Execution<'_>);
}

impl<C: OfApache> RequestContext for C {
    fn ssl_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        self.context().0.ssl_variable(name).map(<[u8]>::to_vec)
    }

    fn log_cost(&self, record: &LogRecord) -> usize {
        let (r, place) = self.context();
        record.cost(log::names(r, place))
    }

    fn log(&mut self, record: &LogRecord) {
        let (r, place) = self.context();
        log::record(r, record, Some(place));
    }
}
