//! One accepted request: its way to the engine in this child, and what the outcome, here or in a daemon process, means
//! for the client.
#![forbid(unsafe_code)]

use std::ptr;

use wsgi_unix::{panics, stop};
use wsgi_wire::codec::Wire;
use wsgi_wire::interface::Interface;
use wsgi_wire::messages::{Topic, requests};
use wsgi_wire::request::{Body, Facts, Purpose, Rules, put_request, put_route};

use super::ahead::{self, Travel};
use super::client::{HttpClient, ResponseRules};
use super::environ::{ContentLength, Environ};
use super::refused::Refused;
use super::response_head::Disposition;
use super::scratch::{Scratch, with_scratch};
use super::variables;
use crate::directives::settings::RequestSettings;
use crate::embedded::{self, Plan, call};
use crate::httpd::request::{Request, Target};
use crate::httpd::{HookStatus, log, response, upgraded};
use crate::policy::acceptance::BodyLength;
use crate::relay::client::RequestContext;
use crate::relay::outcome::{End, Outcome};

/// Has the request executed by the engine in this child.
///
/// # Errors
/// [`Refused`] if there is no Python here, or its outcome is not known.
pub fn in_process<'r>(
    r: &mut Request<'r>,
    plan: &Plan,
    settings: &RequestSettings,
    environ: &Environ<'r>,
    length: BodyLength,
) -> Result<HookStatus, Refused> {
    let engine = embedded::engine(plan).map_err(|error| Refused::new(&requests::NO_PYTHON, 500, error))?;
    let facts = Facts { request_start: r.time(), script_mtime: script_mtime(r, environ), ..Facts::default() };
    let request_rec = if settings.pass_apache_request.unwrap_or(false) { r.address() } else { ptr::null_mut() };
    with_scratch(|Scratch { route, body, message: request, .. }| {
        // There is no connection on which routes could have numbers.
        0u16.put(route);
        write_route(r, settings, environ, route);
        let rules = ResponseRules { header_limit: usize::MAX, as_cgi: false };
        let script = r.filename();
        let mut client = HttpClient::new(r, length, rules, environ.destination().place(script));
        let (travel, announced) = if client.request().has_input_filter() {
            let travel = ahead::read_whole(&mut client, length, body);
            (travel, real_length(length, travel, body))
        } else {
            (ahead::unread(length), ContentLength::AsSent)
        };
        let r = client.request();
        put_request(request, &facts, purpose(travel, body), |vars| environ.write_request(r, announced, vars));
        let outcome = call::serve(engine, &mut client, request_rec, route, request);
        let answer = conclude(&mut client, environ, length, outcome);
        send_end(&mut client, &answer, outcome);
        answer
    })
}

pub(super) fn purpose(travel: Travel, inline: &[u8]) -> Purpose<'_> {
    Purpose::Response(match travel {
        Travel::Empty => Body::None,
        Travel::Inline => Body::Inline(inline),
        Travel::Spooled(length) => Body::Pull(Some(length)),
        Travel::Pulled(length) => Body::Pull(length),
    })
}

/// The length of a body that an input filter may have changed: unknown, as of one that comes in chunks, unless it is
/// all there.
pub(super) fn real_length(sent: BodyLength, travel: Travel, inline: &[u8]) -> ContentLength {
    match travel {
        Travel::Empty => ContentLength::AsSent,
        _ if sent == BodyLength::Chunked => ContentLength::Unknown,
        Travel::Inline => ContentLength::Real(inline.len() as u64),
        Travel::Spooled(length) => ContentLength::Real(length),
        Travel::Pulled(_) => ContentLength::Unknown,
    }
}

/// The script's modification time where Apache has looked it up, else 0.
pub(super) fn script_mtime(r: &Request<'_>, environ: &Environ<'_>) -> i64 {
    match (environ.destination().handler_script, r.target()) {
        (None, Target::File(mtime)) => mtime,
        _ => 0,
    }
}

pub(super) fn write_route<'r>(r: &Request<'r>, settings: &RequestSettings, environ: &Environ<'r>, out: &mut Vec<u8>) {
    let destination = environ.destination();
    put_route(
        out,
        destination.inside(destination.handler_script.unwrap_or(r.filename())),
        &destination.application_group,
        &destination.callable,
        Rules {
            reloading: settings.script_reloading.unwrap_or(true),
            ignore_activity: settings.ignore_activity.unwrap_or(false),
            log_level: r.log_level(),
            interface: destination.interface,
        },
        |vars| match destination.interface {
            Interface::Asgi => environ.write_scope_route(vars),
            Interface::Wsgi | Interface::Auto => environ.write_route(r, vars),
        },
    );
}

/// Turns the outcome into what the client gets.
pub(super) fn conclude<'r>(
    client: &mut HttpClient<'_, 'r>,
    environ: &Environ<'r>,
    length: BodyLength,
    outcome: Outcome,
) -> Result<HookStatus, Refused> {
    panics::point("request: outcome");
    client.finish();
    let is_over = matches!(outcome, Outcome::Complete | Outcome::Truncated);
    if is_over && matches!(client.disposition(), Disposition::Redirect(_)) {
        variables::fill(client.request(), environ, length);
    }
    let answer = answer_to(client, outcome);
    if !matches!(answer, Ok(HookStatus::Ok | HookStatus::Suspended)) {
        client.leave_body();
    }
    answer
}

/// Sends the end of a response that is whole. This is the last step of a request.
pub(super) fn send_end(client: &mut HttpClient<'_, '_>, answer: &Result<HookStatus, Refused>, outcome: Outcome) {
    let is_own = matches!(answer, Ok(HookStatus::Ok)) && *client.disposition() == Disposition::Send;
    if is_own && outcome == Outcome::Complete {
        client.send_end();
    }
}

fn answer_to(client: &mut HttpClient<'_, '_>, outcome: Outcome) -> Result<HookStatus, Refused> {
    match outcome {
        Outcome::Complete => Ok(finish(client)),
        Outcome::ClientGone => Ok(HookStatus::Ok),
        Outcome::HandedOver => Ok(HookStatus::Suspended),
        Outcome::WebSocket(end, code) => {
            upgraded::note_close(client.request(), code);
            has_ended(client, end);
            Ok(HookStatus::Ok)
        }
        Outcome::Truncated if *client.disposition() != Disposition::Send => Ok(finish(client)),
        // What went wrong with the client's own body says more than the application's failure that followed from it.
        Outcome::Failed(status) => Ok(HookStatus::Status(client.body_failure().unwrap_or(status))),
        Outcome::Refused(status) => Ok(HookStatus::Status(status)),
        Outcome::Truncated
        | Outcome::Lost(true)
        | Outcome::TimedOut(true)
        | Outcome::Violated(_, true)
        | Outcome::Unkept(_)
            if client.has_passed() =>
        {
            if let Some(Refused { message, reason, .. }) = failure(outcome, client.is_embedded()) {
                client.tell(message, &format!("{reason}; the response is cut short"));
            }
            client.abort();
            Ok(HookStatus::Ok)
        }
        // Nothing has been sent yet: an error page takes the place of the response.
        _ => {
            response::clear_status(client.request());
            match failure(outcome, client.is_embedded()) {
                Some(refused) => Err(refused),
                None => Ok(HookStatus::Status(500)),
            }
        }
    }
}

/// Says why a WebSocket has ended, where that was no close.
fn has_ended(client: &mut HttpClient<'_, '_>, end: End) {
    match end {
        End::Closed | End::Stopped => {}
        End::Breach(breach) => {
            log::request(
                client.request(),
                Topic::INFO,
                format_args!("a client breaks the WebSocket protocol: {breach}"),
            );
        }
        End::ProcessLost => {
            let text = "the daemon process has ended without closing the WebSocket, whose client sees that its connection is lost";
            client.tell(&requests::WEBSOCKET_LOST, text);
        }
        End::Violated(violation) => {
            client.tell(
                &requests::WEBSOCKET_REFUSED,
                &format!("the WebSocket ends, because what the daemon process sends is refused: {violation}"),
            );
        }
    }
}

/// Returns what the process, or in embedded mode the engine, did wrong; the application's own failures are logged
/// there.
pub(super) fn failure(outcome: Outcome, embedded: bool) -> Option<Refused> {
    let (message, status, reason) = match outcome {
        Outcome::Lost(_) if embedded => (
            &requests::NO_WHOLE_RESPONSE,
            500,
            "the engine in this Apache child has not made a whole response; the record of its failure is in the error log",
        ),
        Outcome::Lost(_) if stop::has_begun() => {
            (&requests::STOPPED_MEANWHILE, 503, "Apache stops, and waits for no daemon process any more")
        }
        Outcome::Lost(_) => {
            (&requests::CONNECTION_CLOSED, 502, "the daemon process closed the connection without a whole response")
        }
        Outcome::TimedOut(_) => (
            &requests::SILENT_PROCESS,
            504,
            "the daemon process has not sent anything for as long as socket-timeout allows",
        ),
        Outcome::Unkept(error) => {
            let reason = format!("what was kept of the response for a slow client cannot be read ({error})");
            return Some(Refused::new(&requests::NOT_KEPT, 500, reason));
        }
        Outcome::Violated(violation, _) => {
            let reason = format!("the answer is refused: {violation}");
            return Some(Refused::new(&requests::ANSWER_REFUSED, 502, reason));
        }
        _ => return None,
    };
    Some(Refused::new(message, status, reason))
}

fn finish(client: &mut HttpClient<'_, '_>) -> HookStatus {
    match client.disposition().clone() {
        Disposition::Send => HookStatus::Ok,
        Disposition::Replace(status) => HookStatus::Status(status),
        Disposition::File => client.send_guarded().map_or(HookStatus::Ok, HookStatus::Status),
        Disposition::Redirect(url) => {
            client.leave_body();
            client.request().redirect_to(&url);
            HookStatus::Ok
        }
    }
}
