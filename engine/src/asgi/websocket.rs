//! The messages that an application sends in the course of one WebSocket.

use pyo3::exceptions::PyValueError;
use pyo3::types::{PyAnyMethods, PyDict, PyDictMethods, PyString};
use pyo3::{Bound, PyAny, PyResult};
use wsgi_websocket::close;
use wsgi_wire::frame::Kind;
use wsgi_wire::limits;
use wsgi_wire::websocket::{self as wire, Close};

use crate::asgi::exchange::Stage;
use crate::asgi::sending::{self, Sending, unexpected};
use crate::request::response_head::Head;

/// Takes a message of this kind. `subprotocols`: those that the client offers.
pub(super) fn send<'py>(
    sending: &Sending<'_, 'py>,
    kind: &str,
    subprotocols: &[String],
) -> PyResult<Bound<'py, PyAny>> {
    let &Sending { py, exchange, objects, .. } = sending;
    match (kind, sending.stage) {
        ("websocket.accept", Stage::Before) => accept(sending, subprotocols),
        ("websocket.close", Stage::Before) => {
            exchange.give_up(py, 403, close::NORMAL);
            Ok(objects.done(py))
        }
        ("websocket.http.response.start", Stage::Before) => sending.start(),
        ("websocket.http.response.body", Stage::Started | Stage::Committed) => sending.body(),
        ("websocket.send", Stage::Open) => send_message(sending),
        ("websocket.close", Stage::Open) => close(sending),
        (kind, Stage::Before) => Err(unexpected(kind, "before 'websocket.accept'")),
        (kind, Stage::Started | Stage::Committed | Stage::Trailing) => {
            Err(unexpected(kind, "after 'websocket.http.response.start'"))
        }
        (kind, Stage::Open) => Err(unexpected(kind, "after 'websocket.accept'")),
        (kind, Stage::Over) => Err(unexpected(kind, "after 'websocket.close' or a whole response")),
    }
}

fn accept<'py>(sending: &Sending<'_, 'py>, subprotocols: &[String]) -> PyResult<Bound<'py, PyAny>> {
    let &Sending { py, exchange, objects, message, .. } = sending;
    let names = &objects.names;
    let subprotocol = some(message, &names.subprotocol)?;
    let subprotocol: Option<String> = subprotocol.map(|name| name.extract()).transpose()?;
    let subprotocol = subprotocol.filter(|name| !name.is_empty());
    if let Some(name) = subprotocol.as_ref().filter(|name| !subprotocols.contains(name)) {
        let text = format!("the sub-protocol '{name}' is none of those that the client offers: {subprotocols:?}");
        return Err(PyValueError::new_err(text));
    }
    let mut head = Head::default();
    if let Some(headers) = some(message, &names.headers)? {
        sending::add_headers(&mut head, &headers)?;
    }
    if let Some((name, _)) = head.headers().find(|(name, _)| !wire::may_be_added(name)) {
        let name = String::from_utf8_lossy(name);
        let text = format!("'websocket.accept' may not have the header '{name}', which belongs to the handshake");
        return Err(PyValueError::new_err(text));
    }
    exchange.accept(py, subprotocol.as_deref(), &head);
    Ok(objects.done(py))
}

fn send_message<'py>(sending: &Sending<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let &Sending { py, exchange, objects, message, .. } = sending;
    if let Some(content) = some(message, &objects.names.bytes)? {
        return exchange.send_message(py, Kind::Binary, &sending::bytes(&content)?);
    }
    let content = some(message, &objects.names.text)?;
    let content = content.ok_or_else(|| PyValueError::new_err("'websocket.send' has neither bytes nor text"))?;
    let content: String = content.extract()?;
    exchange.send_message(py, Kind::Text, content.as_bytes())
}

fn close<'py>(sending: &Sending<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let &Sending { py, exchange, objects, message, .. } = sending;
    let code = some(message, &objects.names.code)?.map_or(Ok(close::NORMAL), |code| code.extract())?;
    let reason: String = some(message, &objects.names.reason)?.map_or(Ok(String::new()), |it| it.extract())?;
    if !close::may_travel(code) {
        let text =
            format!("'websocket.close' has the code {code}; 1000 to 1003, 1007 to 1014 and 3000 to 4999 may be sent");
        return Err(PyValueError::new_err(text));
    }
    if reason.len() > limits::CLOSE_REASON {
        let most = limits::CLOSE_REASON;
        return Err(PyValueError::new_err(format!("'websocket.close' has a reason of more than {most} bytes")));
    }
    exchange.close(py, Close { code, reason });
    Ok(objects.done(py))
}

/// Returns an item of a message; one that is `None` is none.
fn some<'py>(
    message: &Bound<'py, PyDict>,
    name: &crate::ffi::owned::Owned<PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(message.get_item(name.bind(message.py()))?.filter(|value| !value.is_none()))
}
