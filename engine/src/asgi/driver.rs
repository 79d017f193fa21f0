//! The functions of the engine that the event loop calls.

use std::time::Instant;

use pyo3::types::PyAnyMethods;
use pyo3::{Bound, PyAny, PyResult, Python};
use rustix::event::epoll::EventFlags;
use wsgi_wire::messages::internal;

use crate::asgi::server::{READS, Server};
use crate::asgi::{applications, begin};
use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::guard;
use crate::ffi::instance::This;
use crate::log::record;
use crate::workers::connection::ConnectionError;

/// The object whose methods these functions are.
pub(super) struct Driver(pub(super) &'static Server);

fn none(py: Python<'_>) -> Bound<'_, PyAny> {
    py.None().into_bound(py)
}

impl Class for Driver {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Driver";
    const DOC: &'static std::ffi::CStr = c"What the event loop calls.";

    fn define(class: &mut Definition<Self>) {
        class
            .method(c"ready", ready)
            .method(c"resume", resume)
            .method(c"look_at_time", look_at_time)
            .method(c"say_farewell", say_farewell)
            .method(c"started", started)
            .method(c"failed_to_stop", failed_to_stop);
    }
}

/// Handles what has happened on the connections.
fn ready<'py>(this: This<'_, 'py, Driver>, _args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, server) = (this.py(), this.0);
    for (key, flags) in server.events(py) {
        server.contain(py, key, || handle(py, server, key, flags));
    }
    Ok(none(py))
}

/// Handles what has happened on one connection.
fn handle(py: Python<'_>, server: &'static Server, key: u64, flags: EventFlags) {
    let Some(carried) = server.carried(key) else { return receive(py, server, key) };
    if flags.intersects(EventFlags::OUT) {
        carried.flush(py);
    }
    if flags.intersects(READS | EventFlags::HUP | EventFlags::ERR) {
        carried.hear(py);
    }
}

/// Receives on a connection that carries no request.
fn receive(py: Python<'_>, server: &'static Server, key: u64) {
    let Some(mut connection) = server.take_idle(key) else { return };
    match connection.receive(server.secret()) {
        Ok(Some(arrived)) => begin::begin(py, server, key, connection, arrived),
        Ok(None) => server.park(key, connection),
        Err(ConnectionError::Closed) => server.dropped(connection),
        Err(error) => {
            server.dropped(connection);
            record::process(&internal::CONNECTION_BROKEN, &format!("A connection is closed: {error}."));
        }
    }
}

/// Ends the pause in which no connection was accepted.
fn resume<'py>(this: This<'_, 'py, Driver>, _args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    this.0.resume();
    Ok(none(this.py()))
}

/// Looks for requests that have exceeded their time limit.
fn look_at_time<'py>(this: This<'_, 'py, Driver>, _args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, server) = (this.py(), this.0);
    loop {
        match server.timeouts.late(Instant::now()) {
            Ok(late) => {
                if guard::catch("a request that is late", || late.is_late(py)).is_none() {
                    late.abandon(py);
                }
            }
            Err(next) => {
                if let (Some(next), Some(objects)) = (next, server.objects()) {
                    objects.call_later(py, next, "look_at_time");
                }
                return Ok(none(py));
            }
        }
    }
}

/// Goes on to close the WebSockets of a process that ends.
fn say_farewell<'py>(this: This<'_, 'py, Driver>, _args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    this.0.say_farewell(this.py());
    Ok(none(this.py()))
}

/// Notes that an application that a request has brought has started, or failed to.
fn started<'py>(this: This<'_, 'py, Driver>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let number: usize = args.required("started", 0, 2, 2)?.extract()?;
    let failure: Option<String> = args.required("started", 1, 2, 2)?.extract()?;
    begin::has_started(this.py(), this.0, number, failure);
    Ok(none(this.py()))
}

/// Logs that an application does not stop in order.
fn failed_to_stop<'py>(this: This<'_, 'py, Driver>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let failure: String = args.required("failed_to_stop", 0, 1, 1)?.extract()?;
    applications::failed_to_stop(&failure);
    Ok(none(this.py()))
}
