//! Events of requests, for callbacks that subscribe to them: `request_started`, `response_started`,
//! `request_exception`, `request_finished`.

use std::time::Duration;

use pyo3::types::{PyAnyMethods, PyDict, PyDictMethods, PyTuple};
use pyo3::{Bound, PyAny, PyErr, PyResult, Python};
use wsgi_wire::request::Facts;

use crate::api::events::{publish, wanted};
use crate::ffi::object;
use crate::metrics::sample::Finished;
use crate::moments::Moments;
use crate::request::Request;

/// The facts of a request that its first and its last event carry.
pub(crate) struct Observed<'a> {
    /// The request that the events are about.
    pub(crate) request: &'a Request,
    /// The number of the thread that runs it.
    pub(crate) thread: u32,
    /// The process id of the Apache child that the request came through.
    pub(crate) server_pid: u32,
    /// The moments of the request so far.
    pub(crate) moments: &'a Moments,
    /// The facts that Apache has sent with the request.
    pub(crate) facts: &'a Facts,
}

impl Observed<'_> {
    /// Publishes `request_started`. Returns the application to call, which a callback may have replaced.
    pub(crate) fn started<'py>(
        &self,
        application: Bound<'py, PyAny>,
        callable: &[u8],
        environ: &Bound<'py, PyDict>,
    ) -> Bound<'py, PyAny> {
        let (py, request) = (application.py(), self.request);
        let event = of_request(py, request).and_then(|event| {
            self.add_moments(&event)?;
            event.set_item("daemon_connects", self.facts.connects)?;
            event.set_item("daemon_restarts", self.facts.rejects)?;
            event.set_item("application_start", self.moments.application_start)?;
            event.set_item("application_object", &application)?;
            event.set_item("callable_object", object::latin1(py, callable)?)?;
            event.set_item("request_environ", environ)?;
            Ok(event)
        });
        let Ok(event) = event else { return application };
        publish(py, &request.interpreter.callbacks.events, "request_started", &event);
        event.get_item("application_object").ok().flatten().unwrap_or(application)
    }

    fn add_moments(&self, event: &Bound<'_, PyDict>) -> PyResult<()> {
        event.set_item("thread_id", self.thread)?;
        event.set_item("server_pid", self.server_pid)?;
        event.set_item("request_start", self.moments.request_start)?;
        event.set_item("queue_start", self.moments.queue_start)?;
        event.set_item("daemon_start", self.moments.daemon_start)
    }

    /// Publishes the event `request_finished`.
    pub(crate) fn finished(&self, py: Python<'_>, finished: &Finished) {
        let request = self.request;
        let counts = &finished.counts;
        let event = of_request(py, request).and_then(|event| {
            self.add_moments(&event)?;
            event.set_item("application_finish", finished.finish)?;
            event.set_item("application_time", finished.application.as_secs_f64())?;
            event.set_item("input_reads", counts.input_reads)?;
            event.set_item("input_length", counts.input_length)?;
            event.set_item("input_time", seconds(counts.input_time))?;
            event.set_item("output_writes", counts.output_writes)?;
            event.set_item("output_length", counts.output_length)?;
            event.set_item("output_time", seconds(counts.output_time))?;
            event.set_item("gil_wait_time", seconds(counts.gil_time))?;
            event.set_item("gil_wait_count", counts.gil_waits)?;
            event.set_item("status", finished.status)?;
            event.set_item("cpu_user_time", seconds(finished.cpu_user))?;
            event.set_item("cpu_system_time", seconds(finished.cpu_system))?;
            event.set_item("cpu_time", seconds(finished.cpu_user + finished.cpu_system))?;
            Ok(event)
        });
        if let Ok(event) = event {
            publish(py, &request.interpreter.callbacks.events, "request_finished", &event);
        }
    }
}

/// The process id of the Apache child that a request came through.
pub(crate) fn server_pid(environ: &Bound<'_, PyDict>) -> u32 {
    let pid = environ.get_item("mod_wsgi.server_pid").ok().flatten();
    pid.and_then(|pid| pid.extract::<String>().ok()?.parse().ok()).unwrap_or(0)
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Begins an event of a request.
///
/// # Errors
/// What CPython raises.
fn of_request<'py>(py: Python<'py>, request: &Request) -> PyResult<Bound<'py, PyDict>> {
    let event = PyDict::new(py);
    if !request.id.is_empty() {
        event.set_item("request_id", object::latin1(py, &request.id)?)?;
    }
    event.set_item("request_data", request.data(py))?;
    Ok(event)
}

/// Publishes `response_started`, if anybody wants it.
///
/// # Errors
/// What CPython raises.
pub(crate) fn response_started(
    py: Python<'_>,
    request: &Request,
    status: &Bound<'_, PyAny>,
    headers: &Bound<'_, PyAny>,
    exception: Option<&Bound<'_, PyTuple>>,
) -> PyResult<()> {
    if !wanted(py, request.interpreter) {
        return Ok(());
    }
    let event = of_request(py, request)?;
    event.set_item("response_status", status)?;
    event.set_item("response_headers", headers)?;
    event.set_item("exception_info", exception)?;
    publish(py, &request.interpreter.callbacks.events, "response_started", &event);
    Ok(())
}

/// Publishes `request_exception`, if anybody wants it.
pub(crate) fn request_exception(py: Python<'_>, request: &Request, error: &PyErr) {
    if !wanted(py, request.interpreter) {
        return;
    }
    let event = of_request(py, request).and_then(|event| {
        event.set_item("exception_info", (error.get_type(py), error.value(py), error.traceback(py)))?;
        Ok(event)
    });
    if let Ok(event) = event {
        publish(py, &request.interpreter.callbacks.events, "request_exception", &event);
    }
}
