//! A request for a WebSocket.
#![forbid(unsafe_code)]

use wsgi_websocket::handshake::{self, Handshake, HandshakeError};
use wsgi_wire::messages::{Message, Topic, requests};
use wsgi_wire::table::Denial;

use super::environ::Environ;
use super::refused::Refused;
use super::way::RETRY_AFTER;
use crate::daemons::Group;
use crate::httpd::request::Request;
use crate::httpd::{HookStatus, log, response};
use crate::policy::acceptance::BodyLength;

/// Returns the handshake of a request that asks for a WebSocket; `None` for any other.
///
/// # Errors
/// The answer to one that asks in a way that RFC 6455 does not allow, or where no WebSocket can be had.
pub fn asked(r: &mut Request<'_>, group: &Group, length: BodyLength) -> Result<Option<Handshake>, HookStatus> {
    // What Apache has made of a request, a page for an error or a part of one, is none of the client's.
    if r.is_part() || response::status(r) != 200 {
        return Ok(None);
    }
    let headers = r.headers_in();
    let request = handshake::Request {
        method: r.method(),
        // An extended CONNECT of HTTP/2 (RFC 8441) comes in this form (`H2WebSockets on`).
        is_http_1_1: r.protocol() == b"HTTP/1.1" || r.shares_connection(),
        // A stream may go on behind its head in any case: that is the WebSocket.
        has_body: length != BodyLength::Known(0) && !r.shares_connection(),
        upgrade: headers.get(c"Upgrade"),
        connection: headers.get(c"Connection"),
        version: headers.get(c"Sec-WebSocket-Version"),
        key: headers.get(c"Sec-WebSocket-Key"),
        protocols: headers.get(c"Sec-WebSocket-Protocol"),
        extensions: headers.get(c"Sec-WebSocket-Extensions"),
    };
    if !request.asks() {
        return Ok(None);
    }
    let error = match request.handshake() {
        Ok(handshake) => {
            let offers_deflate = handshake.offers_deflate && group.relay.websocket.is_deflate;
            return Ok(Some(Handshake { offers_deflate, ..handshake }));
        }
        Err(error) => error,
    };
    log::request(r, Topic::INFO, format_args!("a WebSocket is asked for wrongly: {error}"));
    group.relay.record.websocket_counts.refused(Denial::Handshake);
    Err(HookStatus::Status(match error {
        HandshakeError::BadRequest(_) => 400,
        HandshakeError::Version => {
            response::add_error_header(r, b"Sec-WebSocket-Version", b"13");
            response::add_error_header(r, b"Upgrade", b"websocket");
            426
        }
    }))
}

/// Whether `ws-origins` lets the page that asks have a WebSocket.
pub fn is_for_page(r: &mut Request<'_>, group: &Group, environ: &Environ<'_>) -> bool {
    let (host, is_https) = environ.asked_host(r);
    let origin = r.headers_in().get(c"Origin");
    if group.origins.allow(origin, host, is_https) {
        return true;
    }
    let (origin, host) = (origin.unwrap_or_default(), String::from_utf8_lossy(host));
    let text = format!("ws-origins lets no page of '{}' open a WebSocket at '{host}'", String::from_utf8_lossy(origin));
    log::request(r, Topic::INFO, format_args!("{text}"));
    group.relay.record.websocket_counts.refused(Denial::Origin);
    false
}

/// Answers one over HTTP/2, of which there are as many as there may be.
pub fn too_many_streams(r: &mut Request<'_>, group: &Group) -> HookStatus {
    log::request(r, Topic::INFO, format_args!("WebSockets have half of the workers that mod_http2 has (H2MaxWorkers)"));
    response::add_error_header(r, b"Retry-After", RETRY_AFTER);
    group.relay.record.websocket_counts.refused(Denial::Limit);
    HookStatus::Status(503)
}

/// Counts a WebSocket that was not granted; `status` is that of the response.
pub fn count_refusal(group: &Group, status: u16, answer: &Result<HookStatus, Refused>) {
    const LIMITS: [&Message; 4] =
        [&requests::WORKERS_TAKEN, &requests::ALL_WORKERS_TAKEN, &requests::WEBSOCKETS_FULL, &requests::APACHE_FULL];
    let why = match answer {
        Err(refused) if LIMITS.contains(&refused.message) => Denial::Limit,
        Ok(_) if status < 500 => Denial::Application,
        _ => Denial::Failed,
    };
    group.relay.record.websocket_counts.refused(why);
}
