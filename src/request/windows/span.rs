//! What a collector of OpenTelemetry hears of a request: nothing on Windows, where no supervisor would tell it.
#![forbid(unsafe_code)]

use crate::daemons::Runtime;
use crate::httpd::HookStatus;
use crate::httpd::request::Request;
use crate::policy::trace::Trace;
use crate::request::destination::Destination;

/// The span of a request that goes on.
pub struct Span {
    /// Its place in the trace.
    pub trace: Trace,
}

impl Span {
    /// Never begins: nobody would be told.
    pub fn begin(_r: &Request<'_>, _runtime: &Runtime) -> Option<Self> {
        None
    }

    /// Tells nobody about it.
    pub fn runs_at(&mut self, _destination: &Destination<'_>, _script_name: &[u8]) {}

    /// Tells nobody about it.
    pub fn end(self, _r: &mut Request<'_>, _status: &HookStatus) {}
}
