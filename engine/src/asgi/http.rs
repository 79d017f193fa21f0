//! The functions `receive` and `send` of one request, as its application has them.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::types::{PyDict, PyDictMethods, PyString, PyStringMethods};
use pyo3::{Bound, PyAny, PyResult, Python};

use crate::asgi::exchange::{Exchange, Stage};
use crate::asgi::files;
use crate::asgi::sending::{Sending, unexpected};
use crate::asgi::server::server;
use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::ffi::object;
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
}

/// The request that the calling code serves.
pub(super) fn current(py: Python<'_>) -> Option<Arc<Request>> {
    let objects = server()?.objects()?;
    let found = objects.current(py)?;
    objects.classes.value::<Http>(&found).map(|http| Arc::clone(&http.0.request))
}

fn send<'py>(this: This<'_, 'py, Http>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, exchange) = (this.py(), &*this.0);
    let objects = exchange.objects()?;
    let message = args.required("send", 0, 1, 1)?;
    let Ok(message) = message.cast::<PyDict>() else {
        return Err(PyTypeError::new_err(format!("a message is a dict, not {}", object::class_name(&message))));
    };
    let kind = message.get_item(objects.names.kind.bind(py))?;
    let kind = kind.ok_or_else(|| PyValueError::new_err("the message has no type"))?;
    let kind = kind.cast::<PyString>().map_err(|_| PyTypeError::new_err("the type of a message is a str"))?;
    let (kind, stage) = (kind.to_cow()?, exchange.stage(py)?);
    let sending = Sending { py, exchange, objects, message, stage };
    match (&*kind, stage) {
        ("http.response.start", Stage::Before) => sending.start(),
        ("http.response.body", Stage::Started | Stage::Committed) => sending.body(),
        ("http.response.pathsend", Stage::Started) => files::send_path(&sending),
        ("http.response.zerocopysend", Stage::Started | Stage::Committed) => files::send_file(&sending),
        ("http.response.early_hint", Stage::Before | Stage::Started) => sending.hint(),
        (kind, Stage::Before) => Err(unexpected(kind, "before 'http.response.start'")),
        (kind, Stage::Started | Stage::Committed) => Err(unexpected(kind, "after 'http.response.start'")),
        (kind, Stage::Over) => Err(unexpected(kind, "after the response is complete")),
    }
}
