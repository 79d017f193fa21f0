//! A request's way to a daemon process.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use wsgi_unix::panics;
use wsgi_websocket::handshake::Handshake;
use wsgi_wire::interface::Interface;
use wsgi_wire::request::{Facts, Purpose, put_request};

use super::client::{HttpClient, ResponseRules, Waits};
use super::environ::{ContentLength, Environ};
use super::exchange::{conclude, purpose, real_length, script_mtime, send_end, write_route};
use super::refused::Refused;
use super::response_head::Disposition;
use super::scratch::{Scratch, with_scratch};
use super::stream_place::StreamPlace;
use super::uploads::Upload;
use super::way::{Way, now_in_microseconds};
use super::websocket;
use crate::daemons::{Group, Runtime};
use crate::directives::settings::RequestSettings;
use crate::httpd::request::Request;
use crate::httpd::upgraded::SWITCHING_PROTOCOLS;
use crate::httpd::{HookStatus, response, suspended};
use crate::policy::acceptance::BodyLength;
use crate::pump::{self, NoPlace, Place};
use crate::relay::delivery::{Dialogue, NotDelivered};

/// Has the request executed by a process of the group.
///
/// # Errors
/// [`Refused`] if it was not executed or its outcome is not known.
pub fn exchange<'r>(
    r: &mut Request<'r>,
    runtime: &Runtime,
    group: &Group,
    settings: &RequestSettings,
    environ: &Environ<'r>,
    length: BodyLength,
    handshake: Option<Handshake>,
) -> Result<HookStatus, Refused> {
    let is_websocket = handshake.is_some();
    let place = (is_websocket && r.shares_connection()).then(|| StreamPlace::take(r));
    if matches!(place, Some(None)) {
        return Ok(websocket::too_many_streams(r, group));
    }
    let timed = Timed::new(r, group.response_timeout);
    let outcome = with_scratch(|scratch| run(timed.r, runtime, group, settings, environ, length, handshake, scratch));
    drop(timed);
    if is_websocket && response::status(r) != SWITCHING_PROTOCOLS {
        websocket::count_refusal(group, status_of(r, &outcome), &outcome);
    }
    outcome
}

/// A request whose client has another timeout meanwhile, however that ends.
struct Timed<'a, 'r> {
    r: &'a mut Request<'r>,
    /// The timeout before, in microseconds, if there is another one.
    before: Option<i64>,
}

impl<'a, 'r> Timed<'a, 'r> {
    fn new(r: &'a mut Request<'r>, timeout: Option<Duration>) -> Self {
        let microseconds = timeout.map(|timeout| i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX));
        let before = microseconds.and_then(|microseconds| response::set_client_timeout(r, microseconds));
        Self { r, before }
    }
}

impl Drop for Timed<'_, '_> {
    fn drop(&mut self) {
        if let Some(microseconds) = self.before {
            response::set_client_timeout(self.r, microseconds);
        }
    }
}

/// The status that the client gets.
fn status_of(r: &Request<'_>, answer: &Result<HookStatus, Refused>) -> u16 {
    match answer {
        Ok(HookStatus::Status(status)) | Err(Refused { status, .. }) => *status,
        Ok(_) => response::status(r),
    }
}

#[allow(clippy::too_many_arguments, reason = "all that a request consists of comes together here")]
fn run<'r>(
    r: &mut Request<'r>,
    runtime: &Runtime,
    group: &Group,
    settings: &RequestSettings,
    environ: &Environ<'r>,
    length: BodyLength,
    handshake: Option<Handshake>,
    scratch: &mut Scratch,
) -> Result<HookStatus, Refused> {
    let way = Way::new(runtime, group, &environ.destination().process_group);
    let admission = way.admission().map_err(|error| way.refused(&error, r))?;
    panics::point("request: admitted");
    let is_websocket = handshake.is_some();
    let place = if is_websocket { place(r, runtime).map_err(|error| way.refused(&error, r))? } else { None };
    write_route(r, settings, environ, &mut scratch.route);
    let script_mtime = script_mtime(r, environ);
    let is_asgi = environ.destination().interface == Interface::Asgi;
    let request_start = r.time();
    let rules = ResponseRules { header_limit: group.header_limit, as_cgi: true };
    let script = r.filename();
    let mut client = HttpClient::new(r, length, rules, environ.destination().place(script));
    if let Some(handshake) = handshake {
        client.may_accept(handshake);
        client.may_leave(place);
    }
    client.shares_waits(|| Waits {
        places: group.uploads(),
        usual: group.thread_count() / 2,
        pressing: group.upload_limit(),
    });
    let filtered = client.request().has_input_filter();
    let refused = |error: NotDelivered, client: &mut HttpClient<'_, 'r>| {
        client.leave_body();
        way.refused(&error, client.request())
    };
    let upload = Upload { group, table: way.table(), length };
    let read = match is_asgi {
        true => upload.read_for_loop(&mut client, &mut scratch.body),
        false => upload.read(&mut client, &mut scratch.body),
    };
    let travel = read.map_err(|error| refused(error, &mut client))?;
    let facts = Facts { request_start, queue_start: now_in_microseconds(), script_mtime, ..Facts::default() };
    let encode = |out: &mut Vec<u8>, facts: &Facts, body: &[u8], client: &mut HttpClient<'_, 'r>| {
        let announced = if filtered { real_length(length, travel, body) } else { ContentLength::AsSent };
        let r = client.request();
        let purpose = if is_websocket { Purpose::WebSocket } else { purpose(travel, body) };
        put_request(out, facts, purpose, |vars| match is_asgi {
            true => environ.write_scope(r, announced, vars),
            false => environ.write_request(r, announced, vars),
        });
    };
    let start = Instant::now();
    let dialogue = match (is_asgi, is_websocket) {
        (_, true) => Dialogue::WebSocket,
        (true, false) => Dialogue::Duplex,
        (false, false) => Dialogue::InTurns,
    };
    let outcome =
        way.deliver(scratch, &mut client, facts, dialogue, encode).map_err(|error| refused(error, &mut client))?;
    // What follows may be another request of the same group, which an internal redirect makes; or the client takes a
    // file, and keeps the worker.
    let admission = (*client.disposition() == Disposition::File).then_some(admission);
    let answer = conclude(&mut client, environ, length, outcome);
    let status = status_of(client.request(), &answer);
    // How long a WebSocket has lasted says nothing about answers.
    let answered = client.granted().unwrap_or_else(Instant::now);
    way.answered(status, answered.saturating_duration_since(start));
    drop(admission);
    send_end(&mut client, &answer, outcome);
    answer
}

/// The place of a WebSocket among those that hold no thread of Apache; `None` where it has to hold one.
fn place(r: &Request<'_>, runtime: &Runtime) -> Result<Option<Place>, NotDelivered> {
    let Some(most) = runtime.suspended.filter(|_| suspended::may_be(r)) else { return Ok(None) };
    let children = runtime.table.map(|table| &table.header().websockets);
    match pump::reserve(children, most) {
        Ok(place) => Ok(Some(place)),
        Err(NoPlace::NoPump) => Ok(None),
        Err(NoPlace::Full) => Err(NotDelivered::ApacheFull),
    }
}
