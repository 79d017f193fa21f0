//! A request for a WebSocket.
#![forbid(unsafe_code)]

use wsgi_websocket::handshake::{self, Handshake, HandshakeError};
use wsgi_wire::messages::Topic;

use crate::httpd::request::Request;
use crate::httpd::{HookStatus, log, response};
use crate::policy::acceptance::BodyLength;

/// Returns the handshake of a request that asks for a WebSocket; `None` for any other.
///
/// # Errors
/// The answer to one that asks in a way that RFC 6455 does not allow, or where no WebSocket can be had.
pub fn asked(r: &mut Request<'_>, length: BodyLength) -> Result<Option<Handshake>, HookStatus> {
    // What Apache has made of a request, a page for an error or a part of one, is none of the client's.
    if r.is_part() || response::status(r) != 200 {
        return Ok(None);
    }
    let headers = r.headers_in();
    let request = handshake::Request {
        method: r.method(),
        is_http_1_1: r.protocol() == b"HTTP/1.1",
        has_body: length != BodyLength::Known(0),
        upgrade: headers.get(c"Upgrade"),
        connection: headers.get(c"Connection"),
        version: headers.get(c"Sec-WebSocket-Version"),
        key: headers.get(c"Sec-WebSocket-Key"),
        protocols: headers.get(c"Sec-WebSocket-Protocol"),
        extensions: headers.get(c"Sec-WebSocket-Extensions"),
    };
    // An extended CONNECT of HTTP/2 looks like one of HTTP/1.1 here (`H2WebSockets On`).
    let asks = (handshake::Request { is_http_1_1: true, ..request }).asks();
    if asks && r.shares_connection() {
        log::request(r, Topic::INFO, format_args!("a WebSocket is asked for over HTTP/2, where there is none"));
        return Err(HookStatus::Status(501));
    }
    if !request.asks() {
        return Ok(None);
    }
    let error = match request.handshake() {
        Ok(handshake) => return Ok(Some(handshake)),
        Err(error) => error,
    };
    log::request(r, Topic::INFO, format_args!("a WebSocket is asked for wrongly: {error}"));
    Err(HookStatus::Status(match error {
        HandshakeError::BadRequest(_) => 400,
        HandshakeError::Version => {
            response::add_error_header(r, b"Sec-WebSocket-Version", b"13");
            response::add_error_header(r, b"Upgrade", b"websocket");
            426
        }
    }))
}
