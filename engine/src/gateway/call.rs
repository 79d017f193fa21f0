//! The call of the application for one request: its environ, the call, the iteration over what it returns, and what
//! becomes of exceptions.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pyo3::exceptions::{PySystemExit, PyTypeError};
use pyo3::types::{PyAnyMethods, PyBytes, PyBytesMethods, PyDict, PyDictMethods};
use pyo3::{Bound, PyAny, PyErr, PyResult, Python};
use wsgi_unix::panics;
use wsgi_wire::messages::{Message, Topic, applications};
use wsgi_wire::names::{self, Name};
use wsgi_wire::question::Answer;
use wsgi_wire::request as wire;
use wsgi_wire::response::{End, Reject};

use crate::api::events;
use crate::api::request_events::{self, Observed, server_pid};
use crate::ffi::object;
use crate::gateway::environ;
use crate::gateway::errors;
use crate::gateway::file_wrapper::FileWrapper;
use crate::gateway::input::Input;
use crate::gateway::regular_file;
use crate::gateway::runner::Runner;
use crate::gateway::script::{self, ScriptError, ScriptNeed};
use crate::gateway::start_response::StartResponse;
use crate::interpreter::active::Entry;
use crate::interpreter::advice;
use crate::log::traceback;
use crate::metrics::sample::Sample;
use crate::moments::{Moments, now};
use crate::process::Process;
use crate::process::forked;
use crate::request::Request;
use crate::request::output::{self, SendError};
use crate::request::route::Route;
use crate::telemetry::slow::{self, SlowRequests, slow_requests};

/// The way in which the call of an application ended.
pub(crate) enum Outcome {
    /// The response is out, all of it or as much as will be.
    Answered(End),
    /// A question has its answer.
    Said(Answer),
    /// Apache shows its page for this status.
    Failed(u16),
    /// The request was not executed, and may go to another process.
    Rejected(Reject),
}

/// Why the application's answer ended before its time.
enum Stop {
    /// The application, or what it returned, raised an exception.
    Raised(PyErr),
    /// The client is gone.
    Gone,
}

/// The arguments of an application: the environ and `start_response`.
type Arguments<'py> = (Bound<'py, PyDict>, Bound<'py, PyAny>);

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<SendError> for Stop {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Refused(error) => Self::Raised(error.into()),
            SendError::Gone(_) | SendError::Over => Self::Gone,
        }
    }
}

/// The call of an application for one request.
pub(crate) struct Call<'a, 'py> {
    py: Python<'py>,
    runner: &'a dyn Runner,
    request: &'a Arc<Request>,
    moments: Moments,
    facts: wire::Facts,
}

impl<'a, 'py> Call<'a, 'py> {
    /// Prepares the call for a request.
    pub(crate) fn new(
        py: Python<'py>,
        runner: &'a dyn Runner,
        request: &'a Arc<Request>,
        moments: Moments,
        facts: wire::Facts,
    ) -> Self {
        Self { py, runner, request, moments, facts }
    }

    /// Loads the script if need be, calls the application and sends what it returns, except for the end.
    pub(crate) fn execute(&mut self, route: &Route, vars: wire::Vars<'_>) -> Outcome {
        let (py, interpreter) = (self.py, self.request.interpreter);
        let resource = || {
            let file = |(name, value)| (name == Name::Known(names::SCRIPT_FILENAME)).then_some(value);
            vars.clone().flatten().find_map(file).or_else(|| route.vars().ok()?.flatten().find_map(file))
        };
        let need = ScriptNeed {
            script: route.script_in(interpreter),
            path: route.script(),
            callable: route.callable(),
            reloading: route.rules.reloading,
            in_place: false,
            mtime: self.facts.script_mtime,
            resource: &resource,
        };
        let application = match script::application(py, interpreter, &need) {
            Ok(application) => application,
            Err(ScriptError::Failed(report)) => {
                script::log_failure(py, interpreter, need.path, &report);
                return Outcome::Failed(500);
            }
            Err(ScriptError::Changed) => return Outcome::Rejected(Reject::ScriptChanged),
        };
        self.runner.loaded(route.rules.ignore_activity);
        let thread = self.runner.number();
        panics::point("request: environ");
        let prepared = environ::build(py, interpreter, route, vars, &self.moments, thread).and_then(|environ| {
            let start_response = self.add_ours(&environ)?;
            self.runner.furnish(&environ)?;
            Ok((environ, start_response))
        });
        match prepared {
            Ok(arguments) => self.run(application, route.callable(), arguments),
            Err(error) => self.failed(&error),
        }
    }

    /// Adds the entries that belong to this one request, and returns its `start_response`.
    fn add_ours(&mut self, environ: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let (py, interpreter) = (self.py, self.request.interpreter);
        let (classes, names) = (&interpreter.classes, &interpreter.names);
        let adapter = classes.instance(py, StartResponse { request: Arc::clone(self.request) })?;
        environ.set_item(names.early_hints.bind(py), adapter.getattr(names.early_hints_method.bind(py))?)?;
        let input = classes.instance(py, Input { request: Arc::clone(self.request) })?;
        environ.set_item(names.input.bind(py), input)?;
        environ.set_item(names.errors.bind(py), errors::errors(py, self.request)?)?;
        self.moments.application_start = now();
        environ.set_item(names.application_start.bind(py), self.moments.application_start)?;
        adapter.getattr(names.start_response.bind(py))
    }

    fn run(&self, application: Bound<'py, PyAny>, callable: &[u8], arguments: Arguments<'py>) -> Outcome {
        let (py, interpreter, request) = (self.py, self.request.interpreter, self.request);
        let wanted = events::wanted(py, interpreter);
        let sample = Sample::begin(wanted || Process::get().metrics.is_recording());
        let _active = interpreter.active_requests.enter(py, Arc::clone(request) as Arc<dyn Entry>);
        let metrics = &Process::get().metrics;
        metrics.began(self.runner.number(), &sample);
        let slow = slow_requests();
        if let Some(slow) = slow {
            self.watch(slow, &arguments.0);
        }
        let observed = Observed {
            request,
            thread: self.runner.number(),
            server_pid: if wanted { server_pid(&arguments.0) } else { 0 },
            moments: &self.moments,
            facts: &self.facts,
        };
        let application = match wanted {
            true => observed.started(application, callable, &arguments.0),
            false => application,
        };
        let outcome = self.call(&application, arguments);
        let (given, counts) = request.with(py, |live| (live.response.status, live.counts)).unwrap_or_default();
        let status = match outcome {
            Outcome::Failed(status) => status,
            _ => given.unwrap_or(500),
        };
        let finished = sample.end(&self.moments, status, counts);
        if wanted || events::wanted(py, interpreter) {
            observed.finished(py, &finished);
        }
        if let Some(slow) = slow {
            slow.ended(self.runner.number(), &finished, metrics.active.load(Ordering::Relaxed));
        }
        metrics.record(py, self.runner.number(), &finished);
        outcome
    }

    /// Notes that the request runs, so that it is reported if it is slow.
    fn watch(&self, slow: &SlowRequests, environ: &Bound<'py, PyDict>) {
        let text = |name: &str| -> String {
            let value = environ.get_item(name).ok().flatten();
            value.and_then(|value| value.extract().ok()).unwrap_or_default()
        };
        let process = Process::get();
        let user_agent = process.settings.telemetry.as_ref().is_some_and(|telemetry| telemetry.user_agent);
        let facts = slow::Facts {
            id: self.request.id.clone(),
            server_pid: server_pid(environ),
            texts: slow::TEXTS.map(text),
            user_agent: user_agent.then(|| text("HTTP_USER_AGENT")),
            script: self.request.route.script().to_vec(),
        };
        let active = process.metrics.active.load(Ordering::Relaxed);
        slow.began(self.runner.number(), self.request.interpreter, facts, &self.moments, active);
    }

    fn call(&self, application: &Bound<'py, PyAny>, (environ, start_response): Arguments<'py>) -> Outcome {
        let called = application.call1((&environ, start_response));
        forked::came_back(self.py, called.as_ref().err());
        panics::point("request: called");
        let outcome = match called {
            Ok(result) => {
                let stop = self.respond(&result).err();
                let outcome = match stop {
                    None => self.complete(),
                    Some(Stop::Gone) => Outcome::Answered(End::Truncated),
                    Some(Stop::Raised(error)) => self.failed_to_call(application, &error),
                };
                self.close(&result);
                outcome
            }
            Err(error) => self.failed_to_call(application, &error),
        };
        drop(environ);
        outcome
    }

    fn respond(&self, result: &Bound<'py, PyAny>) -> Result<(), Stop> {
        let (py, request) = (self.py, &**self.request);
        if let Some(sent) = self.send_file(result) {
            return sent;
        }
        if let Some(items) = object::items(result) {
            // Nothing happens between the items, so they can leave together, and the length of them all is known.
            let whole =
                items.iter().try_fold(0, |sum, item| Some(sum + item.cast::<PyBytes>().ok()?.as_bytes().len() as u64));
            for item in &items {
                if let data @ [_, ..] = content(item)? {
                    output::append(py, request, data, whole)?;
                }
            }
        } else {
            for item in result.try_iter()? {
                forked::came_back(py, item.as_ref().err());
                let item = item?;
                panics::point("request: content");
                if let data @ [_, ..] = content(&item)? {
                    output::send(py, request, data, None)?;
                }
            }
        }
        request
            .with(py, |live| output::commit(live, Some(0)))
            .unwrap_or(Ok(()))
            .map_err(|error| Stop::Raised(error.into()))
    }

    /// Hands a wrapped regular file to Apache, if that is what the application returned.
    fn send_file(&self, result: &Bound<'py, PyAny>) -> Option<Result<(), Stop>> {
        let (py, request) = (self.py, &**self.request);
        request.interpreter.classes.value::<FileWrapper>(result)?;
        if request.with(py, |live| live.response.committed())? {
            return None;
        }
        let file = regular_file::below(request.interpreter, result)?;
        Some(output::send_file(py, request, file.file, file.offset, file.available).map_err(Stop::from))
    }

    /// Ends the response, after the application has given all of it.
    fn complete(&self) -> Outcome {
        let short = self.request.with(self.py, |live| live.response.is_short()).unwrap_or(false);
        Outcome::Answered(if short { End::Short } else { End::Complete })
    }

    /// The application, or what it returned, raised: it may be of another interface.
    fn failed_to_call(&self, application: &Bound<'py, PyAny>, error: &PyErr) -> Outcome {
        let request = &**self.request;
        if !error.is_instance_of::<PyTypeError>(self.py) || !request.interpreter.is_async(application) {
            return self.failed(error);
        }
        let process = Process::get();
        let place = match process.is_embedded() {
            true => "embedded mode".to_owned(),
            false => format!("process group '{}'", String::from_utf8_lossy(&process.settings.group)),
        };
        let text = format!(
            "The application in '{}' is one of ASGI, and {place} speaks WSGI: give it a process group with interface=asgi.",
            String::from_utf8_lossy(request.route.script())
        );
        request.log(self.py, &applications::ASGI_IN_WSGI, &text);
        Outcome::Failed(500)
    }

    /// Ends the response after an exception of the application, or of what it returned.
    fn failed(&self, error: &PyErr) -> Outcome {
        let (py, request) = (self.py, &**self.request);
        let committed = request.with(py, |live| live.response.committed()).unwrap_or(false);
        if error.matches(py, request.interpreter.request_timeout.bind(py)).unwrap_or(false) {
            let what = if committed { "response truncated" } else { "thread recovered" };
            request.log(py, Topic::INFO, &format!("Request interrupted by RequestTimeout; {what}."));
            return if committed { Outcome::Answered(End::Truncated) } else { Outcome::Failed(504) };
        }
        let exits = error.is_instance_of::<PySystemExit>(py);
        let message = if exits { &applications::REQUEST_EXITED } else { &applications::REQUEST_FAILED };
        self.report(message, "Exception processing", error);
        request_events::request_exception(py, request, error);
        if committed { Outcome::Answered(End::Truncated) } else { Outcome::Failed(500) }
    }

    fn report(&self, message: &'static Message, what: &str, error: &PyErr) {
        report(self.py, self.request, message, what, error);
    }

    /// Calls `close()` of what the application returned, if it has one.
    fn close(&self, result: &Bound<'py, PyAny>) {
        let (py, request) = (self.py, &**self.request);
        if object::has_items(result) {
            return;
        }
        let Ok(Some(close)) = result.getattr_opt(request.interpreter.names.close.bind(py)) else { return };
        // It may take its time, and the client should not wait for it. Whether the client is gone does not matter here.
        let _ = request.with(py, |live| live.transport.flush(false));
        panics::point("request: close");
        let closed = close.call0();
        forked::came_back(py, closed.as_ref().err());
        if let Err(error) = closed {
            self.report(&applications::CLOSE_FAILED, "Exception in close() of the response to", &error);
            request_events::request_exception(py, request, &error);
        }
    }
}

/// Logs an exception of an application, and what helps, where that is known.
pub(crate) fn report(py: Python<'_>, request: &Request, message: &'static Message, what: &str, error: &PyErr) {
    let path = String::from_utf8_lossy(&request.path);
    let script = String::from_utf8_lossy(request.route.script());
    let (label, place) = (request.interpreter.label(), Process::get().place());
    let text = traceback::describe(py, error);
    request.log(py, message, &format!("{what} '{path}' in WSGI script '{script}' for {label} {place}:\n{text}"));
    if let Some((message, text)) = advice::advice(request.interpreter, request.route.script(), &text) {
        request.log(py, message, &text);
    }
}

/// The bytes of one item of the response.
fn content<'a>(item: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    match item.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes()),
        Err(_) => {
            let found = object::class_name(item);
            Err(PyTypeError::new_err(format!("response iterable must yield bytes, not {found}")))
        }
    }
}
