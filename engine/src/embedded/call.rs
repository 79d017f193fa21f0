//! The call of the gateway for one request of a thread of Apache.

use std::sync::Arc;

use pyo3::types::{PyDict, PyDictMethods};
use pyo3::{Bound, PyResult, Python};
use wsgi_wire::request as wire;

use super::transport::HostTransport;
use crate::ffi::attach;
use crate::ffi::host::{Host, RequestRec};
use crate::gateway;
use crate::gateway::runner::Runner;
use crate::interpreter::Interpreter;
use crate::moments::Moments;
use crate::process::forked;
use crate::request::route::Route;

/// One request, and where it is to run.
pub(super) struct Call {
    /// The Apache side of the request.
    pub(super) host: Host,
    /// The route of the request.
    pub(super) route: Arc<Route>,
    /// The interpreter of that route.
    pub(super) interpreter: &'static Interpreter,
    /// The number of the Apache thread whose request it is.
    pub(super) number: u32,
}

impl Call {
    /// Attaches this thread and executes the request. What is left to send comes back.
    pub(super) fn execute_here(self, request: wire::Request<'_>) -> Option<HostTransport> {
        attach::with(self.interpreter.handle, |py| self.execute(py, request))
    }

    /// Executes the request on a thread that is attached. What is left to send comes back.
    pub(super) fn execute(self, py: Python<'_>, request: wire::Request<'_>) -> Option<HostTransport> {
        let Self { host, route, interpreter, number } = self;
        let thread_of_apache = ApacheThread { number, request_rec: host.request_rec() };
        let (moments, transport) = (Moments::new(&request.facts), Box::new(HostTransport::new(host)));
        let served = gateway::execute(py, interpreter, &thread_of_apache, &route, request, moments, transport);
        forked::must_not_come_back();
        let (_, transport) = served?;
        transport.into_any().downcast::<HostTransport>().ok().map(|transport| *transport)
    }
}

/// The runner of a request in embedded mode: one of Apache's threads, or an executor in its place.
struct ApacheThread {
    number: u32,
    request_rec: Option<RequestRec>,
}

impl Runner for ApacheThread {
    fn number(&self) -> u32 {
        self.number
    }

    fn furnish(&self, environ: &Bound<'_, PyDict>) -> PyResult<()> {
        match &self.request_rec {
            Some(request_rec) => environ.set_item("apache.request_rec", request_rec.capsule(environ.py())?),
            None => Ok(()),
        }
    }

    fn loaded(&self, _ignore_activity: bool) {}
}
