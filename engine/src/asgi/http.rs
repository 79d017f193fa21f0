//! The functions `receive` and `send` of one request, as its application has them.

use std::sync::Arc;

use pyo3::{Bound, PyAny, PyResult, Python};

use crate::asgi::exchange::{Exchange, Stage};
use crate::asgi::files;
use crate::asgi::sending::{self, Sending, unexpected};
use crate::asgi::server::server;
use crate::asgi::websocket::WebSocket;
use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::request::Request;

/// The object behind the two functions that an application is called with.
pub(super) struct Http(pub(super) Arc<Exchange>);

impl Class for Http {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Http";
    const DOC: &'static std::ffi::CStr = c"One request of ASGI.";

    fn define(class: &mut Definition<Self>) {
        class
            .function(c"receive", |this, args| {
                args.count("receive", 0, 0)?;
                this.0.receive(this.py())
            })
            .function(c"send", send)
            .method(c"finished", |this: This<'_, '_, Self>, args: Args<'_, '_>| {
                this.0.has_finished(&args.required("finished", 0, 1, 1)?);
                Ok(this.py().None().into_bound(this.py()))
            });
    }

    fn abandon(this: This<'_, '_, Self>) {
        this.0.abandon(this.py());
    }
}

/// The request that the calling code serves.
pub(super) fn current(py: Python<'_>) -> Option<Arc<Request>> {
    let objects = server()?.objects()?;
    let found = objects.current(py)?;
    let exchange = match objects.classes.value::<Http>(&found) {
        Some(http) => &http.0,
        None => &objects.classes.value::<WebSocket>(&found)?.exchange,
    };
    Some(Arc::clone(&exchange.request))
}

fn send<'py>(this: This<'_, 'py, Http>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, exchange) = (this.py(), &*this.0);
    let objects = exchange.objects()?;
    let message = args.required("send", 0, 1, 1)?;
    let (message, kind) = sending::message(objects, &message)?;
    let stage = exchange.stage(py)?;
    let sending = Sending { py, exchange, objects, message, stage };
    match (&*kind, stage) {
        ("http.response.start", Stage::Before) => sending.start(),
        ("http.response.body", Stage::Started | Stage::Committed) => sending.body(),
        ("http.response.pathsend", Stage::Started) => files::send_path(&sending),
        ("http.response.zerocopysend", Stage::Started | Stage::Committed) => files::send_file(&sending),
        ("http.response.early_hint", Stage::Before | Stage::Started) => sending.hint(),
        (kind, Stage::Before) => Err(unexpected(kind, "before 'http.response.start'")),
        (kind, Stage::Started | Stage::Committed | Stage::Open) => Err(unexpected(kind, "after 'http.response.start'")),
        (kind, Stage::Over) => Err(unexpected(kind, "after the response is complete")),
    }
}
