//! The beginning of a request: its application, its scope, its task.

use std::sync::Arc;
use std::time::Instant;

use pyo3::types::PyAnyMethods;
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_unix::panics;
use wsgi_wire::interface::Interface;
use wsgi_wire::messages::{applications as messages, internal};
use wsgi_wire::names::Name;
use wsgi_wire::request::{self as wire, Purpose};

use crate::asgi::applications::{self, Readiness};
use crate::asgi::callables::{Callables, Protocol};
use crate::asgi::exchange::Exchange;
use crate::asgi::incoming::Incoming;
use crate::asgi::messages::{Bounds, Messages};
use crate::asgi::python::Objects;
use crate::asgi::receiving::Receiving;
use crate::asgi::scope;
use crate::asgi::server::{Carried, Server};
use crate::gateway::script::{self, ScriptError, ScriptNeed};
use crate::log::record;
use crate::log::traceback;
use crate::moments::Moments;
use crate::process::Process;
use crate::request::Request;
use crate::request::response::Response;
use crate::request::route::Route;
use crate::workers::connection::{Arrived, Connection};
use crate::workers::serve;
use wsgi_wire::response::Reject;

/// Begins a request that has arrived.
pub(super) fn begin(
    py: Python<'_>,
    server: &'static Server,
    key: u64,
    mut connection: Box<Connection>,
    arrived: Arrived,
) {
    panics::point("asgi: arrived");
    let Some(objects) = server.objects() else { return server.dropped(connection) };
    let Ok(request) = wire::Request::decode(arrived.payload()) else { return server.dropped(connection) };
    let moments = Moments::new(&request.facts);
    let refused = if let Some(why) = serve::refuse(&request.facts, &moments) {
        Refused::Rejected(why)
    } else {
        let asked = match request.purpose {
            Purpose::Response(body) => Some(Incoming::Http(Receiving::new(body))),
            Purpose::WebSocket => Some(Incoming::WebSocket(Messages::new(bounds()))),
            Purpose::Question(_) => None,
        };
        let Some(incoming) = asked else {
            let text = "A script that decides about requests has been asked for in a process that speaks ASGI; give it a process group with interface=wsgi.";
            record::process(&messages::QUESTION_IN_ASGI, text);
            return answer(server, key, connection, arrived, Refused::Failed(500));
        };
        let kind = if incoming.is_websocket() { scope::Kind::WebSocket } else { scope::Kind::Http };
        match prepare(py, objects, &arrived.route, &request, kind, key) {
            Ok(Prepared::Ready(application, scope)) => {
                let route = Arc::clone(&arrived.route);
                connection.done_with(arrived);
                return start(py, server, objects, key, connection, route, incoming, &application, scope);
            }
            Ok(Prepared::Waits) => return server.waits(key, connection, arrived),
            Err(refused) => refused,
        }
    };
    answer(server, key, connection, arrived, refused);
}

/// What the messages of a WebSocket may take.
fn bounds() -> Bounds {
    let settings = &Process::get().settings;
    Bounds { size: settings.ws_max_size, queue: settings.ws_max_queue as usize }
}

/// The reason why a request does not begin.
enum Refused {
    /// The request may go to another process.
    Rejected(Reject),
    /// Apache shows its page for this status.
    Failed(u16),
}

/// What there is to answer an exchange with.
enum Prepared<'py> {
    /// The application, and what it is told.
    Ready(Bound<'py, PyAny>, scope::Scope<'py>),
    /// The application starts.
    Waits,
}

fn answer(server: &Server, key: u64, mut connection: Box<Connection>, arrived: Arrived, refused: Refused) {
    connection.done_with(arrived);
    let sent = match refused {
        Refused::Rejected(why) => connection.reject(why),
        Refused::Failed(status) => connection.refuse(status),
    };
    match sent {
        Ok(()) => server.park(key, connection),
        Err(_) => {
            server.forget(key);
            server.dropped(connection);
        }
    }
}

fn prepare<'py>(
    py: Python<'py>,
    objects: &Objects,
    route: &Arc<Route>,
    request: &wire::Request<'_>,
    kind: scope::Kind,
    key: u64,
) -> Result<Prepared<'py>, Refused> {
    if route.rules.interface != Interface::Asgi {
        // What the scripts speak has changed while it was on its way.
        return Err(Refused::Failed(503));
    }
    let interpreter = objects.event_loop.interpreter;
    route.set_interpreter(interpreter);
    let resource = || {
        let name = Name::Text(b"env:SCRIPT_FILENAME");
        request.vars.clone().flatten().find_map(|(found, value)| (found == name).then_some(value))
    };
    let wanted = ScriptNeed {
        script: route.script_in(interpreter),
        path: route.script(),
        callable: route.callable(),
        reloading: route.rules.reloading,
        in_place: false,
        mtime: request.facts.script_mtime,
        resource: &resource,
    };
    let application = script::application(py, interpreter, &wanted).map_err(|why| match why {
        ScriptError::Changed => Refused::Rejected(Reject::ScriptChanged),
        ScriptError::Failed(report) => {
            script::log_failure(py, interpreter, wanted.path, &report);
            Refused::Failed(500)
        }
    })?;
    Process::get().watch.script_loaded();
    let number = *route.application.get_or_init(|| applications::number(route.script(), route.callable()));
    let failed = |error: pyo3::PyErr| {
        let text = traceback::describe(py, &error);
        record::process(&internal::NOT_BEGUN, &format!("A request cannot begin:\n{text}"));
        Refused::Failed(500)
    };
    let state = match applications::readiness(py, number, key) {
        Readiness::Up(state) => state,
        Readiness::Starting => return Ok(Prepared::Waits),
        Readiness::Down => {
            if let Some(report) = applications::refusal(&objects.event_loop, route.script(), &application) {
                script::log_failure(py, interpreter, route.script(), &report);
                return Err(Refused::Failed(500));
            }
            let begun = applications::begin(&objects.event_loop, number, &application);
            let driver = objects.driver.bind(py);
            begun.and_then(|lifespan| objects.event_loop.tell(&lifespan, driver, number)).map_err(failed)?;
            return match applications::readiness(py, number, key) {
                Readiness::Starting => Ok(Prepared::Waits),
                Readiness::Up(_) | Readiness::Down => Err(Refused::Failed(500)),
            };
        }
    };
    scope::build(py, objects, route, kind, request.vars.clone(), &state)
        .map(|scope| Prepared::Ready(application, scope))
        .map_err(failed)
}

#[allow(clippy::too_many_arguments, reason = "all that a request consists of comes together here")]
fn start(
    py: Python<'_>,
    server: &'static Server,
    objects: &Objects,
    key: u64,
    connection: Box<Connection>,
    route: Arc<Route>,
    incoming: Incoming,
    application: &Bound<'_, PyAny>,
    scope: scope::Scope<'_>,
) {
    let interpreter = objects.event_loop.interpreter;
    let (right, has_more) = (Arc::clone(connection.right()), connection.has_more());
    let nothing = crate::request::body::Body::whole(Vec::new());
    let response = Response::new(scope.is_head);
    let request = Request::new(interpreter, &route, scope.path, scope.id, connection, response, nothing);
    let is_websocket = incoming.is_websocket();
    let exchange = Arc::new(Exchange::new(server, key, request, &right, incoming));
    let carried = Arc::clone(&exchange) as Arc<dyn Carried>;
    if let Some(limit) = server.timeouts.begins(Instant::now(), &carried) {
        objects.call_later(py, limit, "look_at_time");
    }
    server.begins();
    server.carries(key, Arc::clone(&carried));
    let begun = || -> PyResult<()> {
        panics::point("asgi: begins");
        let protocol =
            if is_websocket { Protocol::WebSocket { subprotocols: scope.subprotocols } } else { Protocol::Http };
        let functions = objects.classes.instance(py, Callables { exchange: Arc::clone(&exchange), protocol })?;
        let task = objects.start.bind(py).call1((application, &scope.dict, &functions))?;
        panics::point("asgi: called");
        if task.call_method0(objects.names.done.bind(py))?.is_truthy()? {
            exchange.has_finished(&task);
            return Ok(());
        }
        let finished = functions.getattr(objects.names.finished.bind(py))?;
        task.call_method1(objects.names.add_done_callback.bind(py), (finished,))?;
        exchange.runs(task);
        Ok(())
    };
    if let Err(error) = begun() {
        exchange.was_not_called(py, error);
    }
    if has_more {
        // What came behind the request belongs to it.
        carried.hear(py);
    }
}

/// Notes that an application that a request has brought has started, or failed to: the requests that have waited for it
/// go on.
pub(super) fn has_started(py: Python<'_>, server: &'static Server, number: usize, failure: Option<String>) {
    let Some(objects) = server.objects() else { return };
    let (waiting, report) = applications::has_started(py, &objects.event_loop, number, failure);
    if let Some(report) = &report {
        script::log_failure(py, objects.event_loop.interpreter, b"", report);
    }
    for key in waiting {
        let Some((connection, arrived)) = server.goes_on(key) else { continue };
        server.contain(py, key, || match &report {
            None => begin(py, server, key, connection, arrived),
            Some(_) => answer(server, key, connection, arrived, Refused::Failed(500)),
        });
    }
}
