//! The functions `receive` and `send` of one WebSocket, as its application has them.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::types::{PyAnyMethods, PyDict, PyDictMethods, PyString};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_websocket::close;
use wsgi_wire::frame::Kind;
use wsgi_wire::limits;
use wsgi_wire::websocket::{self as wire, Close};

use crate::asgi::exchange::{Exchange, Stage};
use crate::asgi::python::Objects;
use crate::asgi::sending::{self, Sending, unexpected};
use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::request::response_head::Head;

/// The object behind the two functions that an application is called with.
pub(super) struct WebSocket {
    pub(super) exchange: Arc<Exchange>,
    /// The sub-protocols that the client offers.
    pub(super) subprotocols: Vec<String>,
}

impl Class for WebSocket {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.WebSocket";
    const DOC: &'static std::ffi::CStr = c"One WebSocket of ASGI.";

    fn define(class: &mut Definition<Self>) {
        class
            .function(c"receive", |this, args| {
                args.count("receive", 0, 0)?;
                this.exchange.receive(this.py())
            })
            .function(c"send", send)
            .method(c"finished", |this: This<'_, '_, Self>, args: Args<'_, '_>| {
                this.exchange.has_finished(&args.required("finished", 0, 1, 1)?);
                Ok(this.py().None().into_bound(this.py()))
            });
    }

    fn abandon(this: This<'_, '_, Self>) {
        this.exchange.abandon(this.py());
    }
}

fn send<'py>(this: This<'_, 'py, WebSocket>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, exchange) = (this.py(), &*this.exchange);
    let objects = exchange.objects()?;
    let message = args.required("send", 0, 1, 1)?;
    let (message, kind) = sending::message(objects, &message)?;
    let stage = exchange.stage(py)?;
    let denial = Sending { py, exchange, objects, message, stage };
    match (&*kind, stage) {
        ("websocket.accept", Stage::Before) => accept(&this, objects, message),
        ("websocket.close", Stage::Before) => {
            exchange.give_up(py, 403, close::NORMAL);
            Ok(objects.done(py))
        }
        ("websocket.http.response.start", Stage::Before) => denial.start(),
        ("websocket.http.response.body", Stage::Started | Stage::Committed) => denial.body(),
        ("websocket.send", Stage::Open) => send_message(py, exchange, objects, message),
        ("websocket.close", Stage::Open) => close(py, exchange, objects, message),
        (kind, Stage::Before) => Err(unexpected(kind, "before 'websocket.accept'")),
        (kind, Stage::Started | Stage::Committed) => Err(unexpected(kind, "after 'websocket.http.response.start'")),
        (kind, Stage::Open) => Err(unexpected(kind, "after 'websocket.accept'")),
        (kind, Stage::Over) => Err(unexpected(kind, "after 'websocket.close' or a whole response")),
    }
}

fn accept<'py>(
    this: &This<'_, 'py, WebSocket>,
    objects: &Objects,
    message: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, names) = (this.py(), &objects.names);
    let subprotocol = some(message, &names.subprotocol)?;
    let subprotocol: Option<String> = subprotocol.map(|name| name.extract()).transpose()?;
    let subprotocol = subprotocol.filter(|name| !name.is_empty());
    if let Some(name) = subprotocol.as_ref().filter(|name| !this.subprotocols.contains(name)) {
        let text =
            format!("the sub-protocol '{name}' is none of those that the client offers: {:?}", this.subprotocols);
        return Err(PyValueError::new_err(text));
    }
    let mut head = Head::default();
    if let Some(headers) = some(message, &names.headers)? {
        sending::add_headers(&mut head, &headers)?;
    }
    if let Some((name, _)) = head.headers.iter().find(|(name, _)| !wire::may_be_added(name)) {
        let name = String::from_utf8_lossy(name);
        let text = format!("'websocket.accept' may not have the header '{name}', which belongs to the handshake");
        return Err(PyValueError::new_err(text));
    }
    this.exchange.accept(py, subprotocol.as_deref(), &head);
    Ok(objects.done(py))
}

fn send_message<'py>(
    py: Python<'py>,
    exchange: &Exchange,
    objects: &Objects,
    message: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    if let Some(content) = some(message, &objects.names.bytes)? {
        return exchange.send_message(py, Kind::Binary, &sending::bytes(&content)?);
    }
    let content = some(message, &objects.names.text)?;
    let content = content.ok_or_else(|| PyValueError::new_err("'websocket.send' has neither bytes nor text"))?;
    let content: String = content.extract()?;
    exchange.send_message(py, Kind::Text, content.as_bytes())
}

fn close<'py>(
    py: Python<'py>,
    exchange: &Exchange,
    objects: &Objects,
    message: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
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
