//! One request from its decoded frame to the end of its response, as PEP 3333 wants it, or a question about one to its
//! answer.
//!
//! Knows WSGI: the environ, `start_response`, the streams, the iteration over a response. Must not know where a request
//! comes from and where its response goes (a [`Transport`]), nor which thread runs it (a [`Runner`]).

pub(crate) mod call;
pub(crate) mod environ;
pub(crate) mod errors;
pub(crate) mod file_wrapper;
pub(crate) mod input;
pub(crate) mod question;
#[cfg(test)]
mod reference;
#[cfg_attr(windows, path = "windows/regular_file.rs")]
mod regular_file;
pub(crate) mod runner;
pub(crate) mod script;
pub(crate) mod start_response;

use std::sync::Arc;

use pyo3::Python;
use wsgi_unix::panics;
use wsgi_wire::names::{self, Name};
use wsgi_wire::recorder::Task;
use wsgi_wire::request::{self as wire, Purpose};
use wsgi_wire::response::Reject;

use crate::gateway::call::{Call, Outcome};
use crate::gateway::question::QuestionCall;
use crate::gateway::runner::Runner;
use crate::interpreter::Interpreter;
use crate::moments::Moments;
use crate::request::body::Body;
use crate::request::response::Response;
use crate::request::route::Route;
use crate::request::transport::Transport;
use crate::request::{self, Request};

/// Executes a request and answers it. Returns the transport, with the reason if the request was not executed, which the
/// caller then has to send. `None` if there is nobody left to send anything to.
pub(crate) fn execute(
    py: Python<'_>,
    interpreter: &'static Interpreter,
    runner: &dyn Runner,
    route: &Arc<Route>,
    request: wire::Request<'_>,
    moments: Moments,
    transport: Box<dyn Transport>,
) -> Option<(Option<Reject>, Box<dyn Transport>)> {
    let line = RequestLine::new(route, request.vars.clone());
    let (since, interpreter_id) = (moments.daemon_start, interpreter.id());
    let (id, method, what) = (&line.id, line.method, &line.path);
    runner.begins(&Task { since, interpreter: interpreter_id, id, method, what });
    let body = match request.purpose {
        Purpose::Response(wire::Body::None) | Purpose::Question(_) | Purpose::WebSocket => Body::whole(Vec::new()),
        Purpose::Response(wire::Body::Inline(data)) => Body::whole(data.to_vec()),
        Purpose::Response(wire::Body::Pull(length)) => Body::to_come(length),
    };
    let response = Response::new(line.method == b"HEAD");
    let current = Request::new(interpreter, route, line.path, line.id, transport, response, body);
    let _over = OverAfterPanic { py, request: &current };
    let outcome = {
        let _serving = Serving::begin(py, &current);
        panics::point("request: begins");
        match request.purpose {
            // Where WSGI is spoken nobody asks for a WebSocket.
            Purpose::Response(_) | Purpose::WebSocket => {
                Call::new(py, runner, &current, moments, request.facts).execute(route, request.vars)
            }
            Purpose::Question(question) => {
                QuestionCall::new(py, runner, &current, question).answer(route, request.vars)
            }
        }
    };
    let rejected = match &outcome {
        Outcome::Rejected(why) => Some(*why),
        Outcome::Answered(_) | Outcome::Said(_) | Outcome::Failed(_) => None,
    };
    Some((rejected, conclude(py, &current, &outcome)?))
}

/// Ends the request at once if a panic unwinds: in embedded mode what the request came from will be gone, and objects
/// that the application keeps of the request must not reach there.
struct OverAfterPanic<'a, 'py> {
    py: Python<'py>,
    request: &'a Request,
}

impl Drop for OverAfterPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.request.finish(self.py));
        }
    }
}

/// Makes the request the one that the calling thread serves, until it is dropped.
struct Serving<'a, 'py> {
    py: Python<'py>,
    request: &'a Request,
    before: Option<Arc<Request>>,
}

impl<'a, 'py> Serving<'a, 'py> {
    fn begin(py: Python<'py>, request: &'a Arc<Request>) -> Self {
        Self { py, request, before: request::set_current(Some(Arc::clone(request))) }
    }
}

impl Drop for Serving<'_, '_> {
    fn drop(&mut self) {
        request::set_current(self.before.take());
        errors::retire(self.py, self.request.interpreter);
    }
}

/// The variables that the engine itself needs.
#[derive(Default)]
struct RequestLine<'v> {
    /// `SCRIPT_NAME` and `PATH_INFO`.
    path: Vec<u8>,
    id: Vec<u8>,
    method: &'v [u8],
}

impl<'v> RequestLine<'v> {
    fn new(route: &Route, vars: wire::Vars<'v>) -> Self {
        let mut line = Self::default();
        let (mut script_name, mut path_info) = (route.script_name(), [].as_slice());
        for (name, value) in vars.flatten() {
            match name {
                Name::Known(names::SCRIPT_NAME) => script_name = value,
                Name::Known(names::PATH_INFO) => path_info = value,
                Name::Known(names::REQUEST_ID) => line.id = value.to_vec(),
                Name::Known(names::REQUEST_METHOD) => line.method = value,
                _ => {}
            }
        }
        line.path = [script_name, path_info].concat();
        line
    }
}

/// Queues the end of the answer and sends everything, unless that is left to the receiver of the transport
/// ([`Transport::leave`]).
fn conclude(py: Python<'_>, request: &Request, outcome: &Outcome) -> Option<Box<dyn Transport>> {
    panics::point("request: conclusion");
    let step = |live: &mut request::Live| {
        panics::point("request: locked");
        live.end_log();
        match outcome {
            Outcome::Answered(end) => live.transport.end(*end),
            Outcome::Said(answer) => live.transport.answer(answer),
            Outcome::Failed(status) => live.transport.fail(*status),
            Outcome::Rejected(_) => {}
        }
        live.transport.leave()
    };
    if request.with(py, step)? == Ok(false) {
        // The rest goes without the GIL; whether it arrives shows below.
        let _ = request.blocking(py, |live| live.transport.flush(true));
    }
    Some(request.finish(py)?.transport)
}
