//! The functions `receive` and `send` that an application is called with.

use std::sync::Arc;

use pyo3::{Bound, PyAny, PyResult, Python};

use crate::asgi::exchange::Exchange;
use crate::asgi::sending::{self, Sending};
use crate::asgi::server::server;
use crate::asgi::{http, websocket};
use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::request::Request;

/// The object behind the two functions of one request, or of one WebSocket.
pub(super) struct Callables {
    pub(super) exchange: Arc<Exchange>,
    pub(super) protocol: Protocol,
}

/// The kind of messages that go through the functions.
pub(super) enum Protocol {
    /// They are those of a request and its response.
    Http,
    /// They are those of a WebSocket.
    WebSocket {
        /// The sub-protocols that the client offers.
        subprotocols: Vec<String>,
    },
}

impl Class for Callables {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Callables";
    const DOC: &'static std::ffi::CStr = c"receive and send of ASGI.";

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

/// The request that the calling code serves.
pub(super) fn current(py: Python<'_>) -> Option<Arc<Request>> {
    let objects = server()?.objects()?;
    let found = objects.current(py)?;
    Some(Arc::clone(&objects.classes.value::<Callables>(&found)?.exchange.request))
}

fn send<'py>(this: This<'_, 'py, Callables>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, exchange) = (this.py(), &*this.exchange);
    let objects = exchange.objects()?;
    let message = args.required("send", 0, 1, 1)?;
    let (message, kind) = sending::message(objects, &message)?;
    let stage = exchange.stage(py)?;
    let sending = Sending { py, exchange, objects, message, stage };
    match &this.protocol {
        Protocol::Http => http::send(&sending, &kind),
        Protocol::WebSocket { subprotocols } => websocket::send(&sending, &kind, subprotocols),
    }
}
