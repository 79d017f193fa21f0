//! The applications of the process: which there are, and the state of each one's `lifespan`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::types::{PyAnyMethods, PyDict};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_wire::messages::applications;
use wsgi_wire::messages::processes;

use crate::asgi::python::Loop;
use crate::ffi::owned::Owned;
use crate::gateway::script::Report;
use crate::log::record;
use crate::log::traceback;
use crate::process::Process;

/// The stage of an application's life.
pub(super) enum Life {
    /// The application has not been told that the process starts, or has failed to start.
    Down,
    /// The application has been told, and requests on these connections wait for it.
    Starting(Vec<u64>),
    /// The application takes requests.
    Up,
}

/// One application of the process, by its script and its name there.
struct Application {
    script: Vec<u8>,
    callable: Vec<u8>,
    life: Life,
    /// An instance of `Lifespan` of `asgi.py`.
    lifespan: Option<Owned>,
    state: Option<Owned<PyDict>>,
}

static APPLICATIONS: Mutex<Vec<Application>> = Mutex::new(Vec::new());

fn all() -> MutexGuard<'static, Vec<Application>> {
    // Locked only for a moment, while nothing of Python runs.
    APPLICATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of an application.
pub(super) fn number(script: &[u8], callable: &[u8]) -> usize {
    let mut all = all();
    let known = all.iter().position(|it| it.script == script && it.callable == callable);
    known.unwrap_or_else(|| {
        let (script, callable) = (script.to_vec(), callable.to_vec());
        all.push(Application { script, callable, life: Life::Down, lifespan: None, state: None });
        all.len() - 1
    })
}

/// Whether an application can take a request.
pub(super) enum Readiness<'py> {
    /// It can; here is the state that it has filled at its start.
    Up(Bound<'py, PyDict>),
    /// It is starting; the connection with this key goes on when it has started.
    Starting,
    /// It has to be started first.
    Down,
}

/// Returns whether an application can take the request of a connection, which waits otherwise.
pub(super) fn readiness<'py>(py: Python<'py>, number: usize, key: u64) -> Readiness<'py> {
    let mut all = all();
    match all.get_mut(number) {
        Some(Application { life: Life::Up, state: Some(state), .. }) => Readiness::Up(state.get(py)),
        Some(Application { life: Life::Starting(waiting), .. }) => {
            waiting.push(key);
            Readiness::Starting
        }
        _ => Readiness::Down,
    }
}

/// Returns why the application of a script is not one that the process serves, and the cure.
pub(super) fn refusal(event_loop: &Loop, script: &[u8], application: &Bound<'_, PyAny>) -> Option<Report> {
    let (shown, group) = (String::from_utf8_lossy(script), &Process::get().settings.group);
    let group = String::from_utf8_lossy(group);
    match event_loop.speaks(application).as_deref() {
        Ok("wsgi") => {
            let text = format!(
                "The application in '{shown}' is one of WSGI, and process group '{group}' speaks ASGI: give it a process group with interface=wsgi, \
                 or wrap it (a2wsgi.WSGIMiddleware)."
            );
            Some(Report::new(&applications::WSGI_IN_ASGI, text))
        }
        Ok("asgi2") => {
            let text = format!(
                "The application in '{shown}' is one of ASGI 2, which takes a scope alone: wrap it with asgiref.compatibility.guarantee_single_callable()."
            );
            Some(Report::new(&applications::OLD_ASGI, text))
        }
        _ => None,
    }
}

/// Tells an application that the process starts.
///
/// # Errors
/// What CPython raises.
pub(super) fn begin<'py>(
    event_loop: &Loop,
    number: usize,
    application: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let lifespan = event_loop.begin(application, Process::get().settings.lifespan)?;
    let state = lifespan.getattr("state")?.cast_into::<PyDict>()?;
    let (kept, state) = (Owned::new(lifespan.clone()), Owned::new(state));
    let before = all().get_mut(number).map(|it| {
        it.life = Life::Starting(Vec::new());
        (it.lifespan.replace(kept), it.state.replace(state))
    });
    drop(before);
    Ok(lifespan)
}

/// Notes that an application has started, or failed to. Returns the connections whose requests have waited for it, and
/// the report of the failure.
pub(super) fn has_started(
    py: Python<'_>,
    event_loop: &Loop,
    number: usize,
    failure: Option<String>,
) -> (Vec<u64>, Option<Report>) {
    let (waiting, lifespan, report) = {
        let mut all = all();
        let Some(it) = all.get_mut(number) else { return (Vec::new(), None) };
        let life = std::mem::replace(&mut it.life, if failure.is_some() { Life::Down } else { Life::Up });
        let waiting = if let Life::Starting(waiting) = life { waiting } else { Vec::new() };
        let report = failure.map(|failure| {
            let (script, name) = (String::from_utf8_lossy(&it.script), String::from_utf8_lossy(&it.callable));
            let text = format!("The application '{name}' in '{script}' cannot start (lifespan):\n{failure}");
            Report::new(&applications::CANNOT_START, text)
        });
        (waiting, if report.is_some() { it.lifespan.take() } else { None }, report)
    };
    if let Some(lifespan) = lifespan {
        if let Err(error) = event_loop.forget(lifespan.bind(py)) {
            failed_to_stop(&traceback::describe(py, &error));
        }
    }
    (waiting, report)
}

/// Logs that an application does not stop in order.
pub(super) fn failed_to_stop(failure: &str) {
    record::process(&processes::LIFESPAN_END, &format!("An application does not stop in order (lifespan):\n{failure}"));
}
