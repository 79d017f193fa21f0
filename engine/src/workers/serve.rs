//! One request on a connection: its answer, and the connection back for the next one.

use pyo3::Python;
use wsgi_wire::request as wire;
use wsgi_wire::response::Reject;

use crate::gateway;
use crate::gateway::runner::Runner;
use crate::interpreter::Interpreter;
use crate::moments::Moments;
use crate::process::Process;
use crate::workers::connection::{Arrived, Connection};

/// Serves a request and gives the connection back, unless it is of no more use.
pub(crate) fn serve(
    py: Python<'_>,
    interpreter: &'static Interpreter,
    runner: &dyn Runner,
    mut connection: Box<Connection>,
    arrived: Arrived,
) -> Option<Box<Connection>> {
    let Ok(request) = wire::Request::decode(arrived.payload()) else { return None };
    let moments = Moments::new(&request.facts);
    if let Some(why) = refuse(&request.facts, &moments) {
        connection.done_with(arrived);
        return connection.reject(why).is_ok().then_some(connection);
    }
    let (rejected, transport) =
        gateway::execute(py, interpreter, runner, &arrived.route, request, moments, connection)?;
    let mut connection = transport.into_any().downcast::<Connection>().ok()?;
    if let Some(why) = rejected {
        connection.reject(why).ok()?;
    }
    connection.is_idle().then(|| give_back(connection, arrived))
}

fn give_back(mut connection: Box<Connection>, arrived: Arrived) -> Box<Connection> {
    connection.done_with(arrived);
    connection
}

/// Returns why a request is rejected without having been looked at, if it is.
pub(crate) fn refuse(facts: &wire::Facts, moments: &Moments) -> Option<Reject> {
    let settings = &Process::get().settings;
    let waited = moments.daemon_start - moments.queue_start;
    (settings.queue_timeout > 0 && facts.queue_start > 0 && waited > f64::from(settings.queue_timeout))
        .then_some(Reject::QueueTimeout)
}
