//! Requests of ASGI: one event loop, on Python's main thread, that takes what comes on the connections itself.
//!
//! Knows ASGI: the scope, the messages of `receive` and `send`, lifespan. Must not know when the process ends, nor who
//! watches over that; WSGI is the gateway's.

mod applications;
mod awaitable;
mod begin;
mod callables;
mod driver;
mod exchange;
mod farewell;
mod figures;
mod files;
mod http;
mod incoming;
mod message;
mod messages;
mod python;
mod receiving;
mod scope;
mod sending;
pub(crate) mod server;
mod timeouts;
mod tls;
mod trailers;
mod websocket;

use std::collections::BTreeSet;

use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_wire::codec;
use wsgi_wire::interface::Interface;
use wsgi_wire::settings::Preload;

use crate::asgi::awaitable::{Done, Value};
use crate::asgi::callables::Callables;
use crate::asgi::driver::Driver;
pub(crate) use crate::asgi::python::Loop;
use crate::asgi::python::Objects;
use crate::asgi::server::Server;
use crate::ffi::classes::Classes;
use crate::gateway::script;
use crate::interpreter::Interpreter;
use crate::process::Process;
use crate::request;

/// The interface that the process offers: the one that its settings name, or, where they leave it open, the one of the
/// scripts that have been loaded.
pub(crate) fn interface(py: Python<'_>, interpreter: &'static Interpreter, loaded: &[&Preload]) -> Interface {
    let settings = &Process::get().settings;
    if settings.interface != Interface::Auto {
        return settings.interface;
    }
    let found = loaded.iter().filter_map(|preload| Found::of(py, interpreter, preload));
    let mut is_async = found.map(|found| interpreter.is_async(&found.application));
    if is_async.any(|is| is) { Interface::Asgi } else { Interface::Wsgi }
}

/// The names of an application where the configuration gives no other: the usual one, and that of `WSGIHandlerScript`.
const USUAL: [&[u8]; 2] = [b"application", b"handle_request"];

/// The application of a script that has been loaded.
struct Found<'p, 'py> {
    script: &'p [u8],
    callable: &'p [u8],
    application: Bound<'py, PyAny>,
    /// Whether the configuration names it, so that it is certain to be an application.
    is_named: bool,
}

impl<'p, 'py> Found<'p, 'py> {
    fn of(py: Python<'py>, interpreter: &'static Interpreter, preload: &'p Preload) -> Option<Self> {
        let is_named = !preload.callable.is_empty();
        let script = &*preload.script;
        let named = is_named.then_some(&*preload.callable);
        let mut names = named.into_iter().chain(USUAL.into_iter().filter(|_| !is_named));
        let found = names.find_map(|name| Some((name, script::loaded(py, interpreter, script, name)?)));
        found.map(|(callable, application)| Self { script, callable, application, is_named })
    }
}

/// Tells the applications that have been loaded that the process starts, and waits until they have started. Returns the
/// digests of the reports about those that cannot.
pub(crate) fn start(py: Python<'_>, event_loop: &Loop, loaded: &[&Preload]) -> Vec<u64> {
    let mut known = BTreeSet::new();
    let found = loaded.iter().filter_map(|preload| Found::of(py, event_loop.interpreter, preload));
    // An earlier process may have named what the configuration names as well.
    let found = found.filter(|found| known.insert((found.script, found.callable)));
    found.filter_map(|found| start_one(py, event_loop, &found).err()).collect()
}

fn start_one(py: Python<'_>, event_loop: &Loop, found: &Found<'_, '_>) -> Result<(), u64> {
    let (interpreter, process, application) = (event_loop.interpreter, Process::get(), &found.application);
    if !found.is_named && !interpreter.is_async(application) {
        // What it is shows when a request asks for it.
        return Ok(());
    }
    let number = applications::number(found.script, found.callable);
    let what = format!("starting the application in '{}' (lifespan)", String::from_utf8_lossy(found.script));
    let report = applications::refusal(event_loop, found.script, application).or_else(|| {
        let started = process.recorder.during(&what, || -> PyResult<Option<String>> {
            let lifespan = applications::begin(event_loop, number, application)?;
            event_loop.wait(&lifespan)
        });
        let failure = started.unwrap_or_else(|error| Some(crate::log::traceback::describe(py, &error)));
        applications::has_started(py, event_loop, number, failure).1
    });
    let Some(report) = report else { return Ok(()) };
    let digest = codec::digest(report.text.as_bytes());
    if !process.settings.known_failures.contains(&digest) {
        script::log_failure(py, interpreter, found.script, &report);
    }
    Err(digest)
}

/// Prepares the loop for requests; from now on they are accepted.
///
/// # Errors
/// What CPython raises.
pub(crate) fn open(py: Python<'_>, server: &'static Server, event_loop: Loop) -> PyResult<()> {
    let mut classes = Classes::default();
    classes.add::<Callables>(py)?;
    classes.add::<Value>(py)?;
    classes.add::<Done>(py)?;
    classes.add::<Driver>(py)?;
    let driver = classes.instance(py, Driver(server))?;
    server.opens(Objects::new(py, event_loop, classes, &driver)?);
    request::set_finder(callables::current);
    Ok(())
}

/// Serves until the server is closed; then ends the loop and what still runs in it.
///
/// # Errors
/// What the loop raises.
pub(crate) fn run(py: Python<'_>, server: &'static Server) -> PyResult<()> {
    let Some(objects) = server.objects() else { return Ok(()) };
    let driver = objects.driver.bind(py);
    Process::get().recorder.begins("running the event loop");
    let ran = objects.event_loop.run(py, server.descriptor(), driver);
    ran.and(objects.event_loop.end(py, driver))
}

/// Whether there are requests of ASGI whose response or task is not over.
pub(crate) fn is_busy() -> bool {
    server::server().is_some_and(Server::is_busy)
}
