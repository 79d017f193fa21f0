//! Messages of a response on their way to the client.

use std::borrow::Cow;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::types::{
    PyAnyMethods, PyBytes, PyBytesMethods, PyDict, PyDictMethods, PyMemoryView, PyString, PyStringMethods,
};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_wire::limits;
use wsgi_wire::response::End;

use crate::asgi::exchange::{Exchange, Stage, connection};
use crate::asgi::python::Objects;
use crate::ffi::object;
use crate::request::Live;
use crate::request::output::{self, HintsError};
use crate::request::response_head::Head;

/// Makes the error of a message that may not be sent now.
pub(super) fn unexpected(kind: &str, when: &str) -> pyo3::PyErr {
    PyRuntimeError::new_err(format!("Unexpected ASGI message '{kind}' {when}."))
}

/// A message on its way.
pub(super) struct Sending<'a, 'py> {
    pub(super) py: Python<'py>,
    pub(super) exchange: &'a Exchange,
    pub(super) objects: &'a Objects,
    pub(super) message: &'a Bound<'py, PyDict>,
    /// The stage of the response before this message.
    pub(super) stage: Stage,
}

impl<'py> Sending<'_, 'py> {
    /// Takes status and headers: the head leaves with the first content.
    pub(super) fn start(&self) -> PyResult<Bound<'py, PyAny>> {
        let (py, names) = (self.py, &self.objects.names);
        let status = self.message.get_item(names.status.bind(py))?;
        let status: u16 =
            status.ok_or_else(|| PyValueError::new_err("'http.response.start' has no status"))?.extract()?;
        let mut head = Head::new(status.to_string().as_bytes())?;
        if let Some(headers) = self.message.get_item(names.headers.bind(py))? {
            add_headers(&mut head, &headers)?;
        }
        let trailers = self.message.get_item(names.trailers.bind(py))?;
        if trailers.map_or(Ok(false), |trailers| trailers.is_truthy())? {
            self.exchange.expects_trailers();
        }
        self.exchange.request.with(py, |live| live.response.start(head));
        self.exchange.has_started();
        Ok(self.objects.done(py))
    }

    /// Returns whether more of the body follows.
    pub(super) fn more(&self) -> PyResult<bool> {
        let more = self.message.get_item(self.objects.names.more_body.bind(self.py))?;
        more.map_or(Ok(false), |more| more.is_truthy())
    }

    /// Takes a piece of the content, and the head with the first one.
    pub(super) fn body(&self) -> PyResult<Bound<'py, PyAny>> {
        let (py, more) = (self.py, self.more()?);
        let body = self.message.get_item(self.objects.names.body.bind(py))?;
        match body.as_ref().map(|body| body.cast::<PyBytes>()) {
            None => self.content(b"", more),
            Some(Ok(body)) => self.content(body.as_bytes(), more),
            Some(Err(_)) => self.content(&bytes(body.as_ref().unwrap_or(self.message))?, more),
        }
    }

    /// Sends a piece of content.
    pub(super) fn content(&self, content: &[u8], more: bool) -> PyResult<Bound<'py, PyAny>> {
        let whole = (!more && self.stage == Stage::Started).then_some(content.len() as u64);
        self.transmit(more, |live| {
            let admitted = output::begin(live, content, whole)?;
            match connection(live) {
                Some(connection) if admitted.len() > limits::INLINE_CHUNK => connection.set_aside(admitted),
                _ if !admitted.is_empty() => live.transport.data(admitted),
                _ => {}
            }
            Ok(())
        })
    }

    /// Sends what `queue` queues, and the end behind it unless more follows.
    pub(super) fn transmit(
        &self,
        more: bool,
        queue: impl FnOnce(&mut Live) -> Result<(), output::SendError>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (py, exchange) = (self.py, self.exchange);
        let (mut queued, over) = (Ok(()), !more && !exchange.has_trailers());
        let queueing = |live: &mut Live| {
            queued = queue(live);
            if queued.is_ok() && over {
                end(live);
            }
        };
        // The stage is known before the connection is given back.
        let pending = exchange.send(py, over, queueing);
        if !more && !over && queued.is_ok() {
            exchange.is_trailing();
        }
        if let Err(output::SendError::Refused(error)) = queued {
            return Err(error.into());
        }
        exchange.sent(py, pending)
    }

    /// Takes links for a `103 Early Hints`, which is sent at once.
    pub(super) fn hint(&self) -> PyResult<Bound<'py, PyAny>> {
        let (py, mut hints) = (self.py, Head::default());
        let links = self.message.get_item(self.objects.names.links.bind(py))?;
        for link in links.iter().flat_map(|links| links.try_iter()).flatten() {
            hints.push(b"Link", &bytes(&link?)?)?;
        }
        match output::hint(py, &self.exchange.request, &hints) {
            Ok(_) => {
                // What has not left yet is looked after.
                self.exchange.push(py, |_| ());
                Ok(self.objects.done(py))
            }
            Err(late @ HintsError::Committed) => Err(PyRuntimeError::new_err(late.to_string())),
            Err(HintsError::Over) => Err(unexpected("http.response.early_hint", "after the response is complete")),
        }
    }
}

/// Queues the end of a response whose content has all been given.
pub(super) fn end(live: &mut Live) {
    live.end_log();
    let short = live.response.is_short();
    live.transport.end(if short { End::Short } else { End::Complete });
}

/// Returns a message, and its type.
pub(super) fn message<'a, 'py>(
    objects: &Objects,
    message: &'a Bound<'py, PyAny>,
) -> PyResult<(&'a Bound<'py, PyDict>, String)> {
    let Ok(message) = message.cast::<PyDict>() else {
        return Err(PyTypeError::new_err(format!("a message is a dict, not {}", object::class_name(message))));
    };
    let kind = message.get_item(objects.names.kind.bind(message.py()))?;
    let kind = kind.ok_or_else(|| PyValueError::new_err("the message has no type"))?;
    let kind = kind.cast::<PyString>().map_err(|_| PyTypeError::new_err("the type of a message is a str"))?;
    Ok((message, kind.to_cow()?.into_owned()))
}

/// Adds the pairs of name and value that a message has.
pub(super) fn add_headers(head: &mut Head, headers: &Bound<'_, PyAny>) -> PyResult<()> {
    for header in headers.try_iter()? {
        let header = header?;
        let (name, value) = (header.get_item(0)?, header.get_item(1)?);
        head.push(&bytes(&name)?, &bytes(&value)?)?;
    }
    Ok(())
}

/// Returns the bytes of a bytes-like object.
pub(super) fn bytes<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().into());
    }
    let wrong = || PyTypeError::new_err(format!("must be bytes, not {}", object::class_name(value)));
    let view = PyMemoryView::from(value).map_err(|_| wrong())?;
    Ok(view.call_method0("tobytes")?.cast::<PyBytes>().map_err(|_| wrong())?.as_bytes().to_vec().into())
}
