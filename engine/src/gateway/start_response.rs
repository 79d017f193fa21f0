//! The object behind `start_response`, `write` and `wsgi.early_hints`.

use std::borrow::Cow;
use std::sync::Arc;

use pyo3::exceptions::{PyBaseException, PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::types::{PyAnyMethods, PyBytes, PyBytesMethods, PyList, PyListMethods, PyString, PyTuple, PyTupleMethods};
use pyo3::{Bound, IntoPyObject, PyAny, PyErr, PyResult};

use crate::api::request_events;
use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::ffi::object;
use crate::request::output::{self, SendError};
use crate::request::response::ResponseError;
use crate::request::response_head::{Head, HeadError};
use crate::request::{self, Request};

/// One request's `start_response`, `write` and `wsgi.early_hints`.
pub(crate) struct StartResponse {
    /// The request whose response it begins.
    pub(crate) request: Arc<Request>,
}

impl Class for StartResponse {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Adapter";
    const DOC: &'static std::ffi::CStr = c"The server's side of one request.";

    fn define(class: &mut Definition<Self>) {
        class
            .function(c"start_response", start_response)
            .function(c"write", write)
            .function(c"early_hints", early_hints)
            .function(c"ssl_is_https", ssl_is_https)
            .function(c"ssl_var_lookup", ssl_var_lookup);
    }
}

impl From<HeadError> for PyErr {
    fn from(error: HeadError) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

impl From<ResponseError> for PyErr {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::NotStarted => PyRuntimeError::new_err(error.to_string()),
            ResponseError::Invalid(error) => error.into(),
        }
    }
}

impl This<'_, '_, StartResponse> {
    fn alive(&self, method: &str) -> PyResult<()> {
        self.request.with(self.py(), |_| ()).ok_or_else(|| over(method))
    }
}

fn over(method: &str) -> PyErr {
    PyRuntimeError::new_err(format!("{method}() called {}", request::no_more()))
}

fn start_response<'py>(this: This<'_, 'py, StartResponse>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let committed = this.request.with(py, |live| live.response.committed()).ok_or_else(|| over("start_response"))?;
    let status = args.required("start_response", 0, 2, 3)?;
    let given = args.required("start_response", 1, 2, 3)?;
    let exception = args.get(2).filter(|e| !e.is_none());
    let headers = list(&given, "start_response() argument 2")?;
    let exception =
        match exception {
            None => None,
            Some(exception) => Some(exception.cast_into::<PyTuple>().map_err(|_| {
                PyRuntimeError::new_err("start_response() argument 'exc_info' must be a 3-tuple or None")
            })?),
        };
    if committed {
        return Err(match exception {
            Some(exception) => again(&exception)?,
            None => PyRuntimeError::new_err("start_response() called more than once without exc_info"),
        });
    }
    let mut head = Head::new(&native(&status)?)?;
    add_headers(&mut head, headers)?;
    request_events::response_started(py, &this.request, &status, &given, exception.as_ref())?;
    this.request.with(py, |live| live.response.start(head)).ok_or_else(|| over("start_response"))?;
    this.object.getattr(this.request.interpreter.names.write.bind(py))
}

fn not_a_triple() -> PyErr {
    PyTypeError::new_err("start_response() argument 'exc_info' must be a 3-tuple or None")
}

/// Raises the exception that `exc_info` holds again.
fn again(exception: &Bound<'_, PyTuple>) -> PyResult<PyErr> {
    if exception.len() != 3 {
        return Err(not_a_triple());
    }
    let (kind, value, traceback) = (exception.get_item(0)?, exception.get_item(1)?, exception.get_item(2)?);
    // What `raise` allows as well: a class and what to make an instance with.
    let value = match value.is_instance_of::<PyBaseException>() {
        true => value,
        false if kind.is_none() => return Err(not_a_triple()),
        false => kind.call1((value,))?,
    };
    if !traceback.is_none() {
        value.call_method1("with_traceback", (traceback,))?;
    }
    Ok(PyErr::from_value(value))
}

fn list<'a, 'py>(given: &'a Bound<'py, PyAny>, what: &str) -> PyResult<&'a Bound<'py, PyList>> {
    given.cast::<PyList>().map_err(|_| {
        // As CPython names it when it checks arguments itself.
        let found = if given.is_none() { "None".to_owned() } else { object::class_name(given) };
        PyTypeError::new_err(format!("{what} must be list, not {found}"))
    })
}

fn add_headers(head: &mut Head, headers: &Bound<'_, PyList>) -> PyResult<()> {
    for header in headers.iter() {
        let Ok(pair) = header.cast::<PyTuple>() else {
            let found = object::class_name(&header);
            return Err(PyTypeError::new_err(format!("each header must be a 2-tuple, not {found}")));
        };
        if pair.len() != 2 {
            return Err(PyValueError::new_err(format!("each header must be a 2-tuple, got length {}", pair.len())));
        }
        let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
        head.push(&native(&name)?, &native(&value)?)?;
    }
    Ok(())
}

/// Returns the bytes of a native string.
fn native<'a>(text: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    match text.cast::<PyString>() {
        Ok(text) => object::to_latin1(text),
        Err(_) => Err(PyTypeError::new_err(format!("must be str, not {}", object::class_name(text)))),
    }
}

fn write<'py>(this: This<'_, 'py, StartResponse>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    this.alive("write")?;
    let data = args.required("write", 0, 1, 1)?;
    let Ok(data) = data.cast::<PyBytes>() else {
        let found = object::class_name(&data);
        return Err(PyTypeError::new_err(format!("write() argument must be bytes, not {found}")));
    };
    match output::send(py, &this.request, data.as_bytes(), None) {
        Ok(()) => Ok(py.None().into_bound(py)),
        Err(SendError::Over) => Err(over("write")),
        Err(SendError::Gone(gone)) => Err(PyOSError::new_err(gone.to_string())),
        Err(SendError::Refused(error)) => Err(error.into()),
    }
}

/// Implements `wsgi.early_hints`: sends a `103 Early Hints` (RFC 8297) to clients of HTTP/1.1 and later, with headers
/// such as `Link`.
fn early_hints<'py>(this: This<'_, 'py, StartResponse>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    let given = args.required("early_hints", 0, 1, 1)?;
    let mut hints = Head::default();
    add_headers(&mut hints, list(&given, "early_hints() argument 1")?)?;
    match output::send_hints(py, &this.request, &hints) {
        Ok(()) => Ok(py.None().into_bound(py)),
        Err(late) => Err(PyRuntimeError::new_err(late.to_string())),
    }
}

/// Returns whether mod_ssl encrypts the client's connection.
fn ssl_is_https<'py>(this: This<'_, 'py, StartResponse>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    this.alive("ssl_is_https")?;
    args.count("ssl_is_https", 0, 0)?;
    let https = this.request.blocking(this.py(), |live| live.transport.ask_variable(b"HTTPS"));
    let https = https.flatten().is_some_and(|value| value == b"on");
    Ok(i32::from(https).into_pyobject(this.py())?.into_any())
}

/// Returns a variable of mod_ssl, or `None` where mod_ssl is not loaded; in a daemon, which has Apache asked, also
/// where its name is none about the connection.
fn ssl_var_lookup<'py>(this: This<'_, 'py, StartResponse>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let py = this.py();
    this.alive("ssl_var_lookup")?;
    let name = args.required("ssl_var_lookup", 0, 1, 1)?;
    let name = match name.cast::<PyBytes>() {
        Ok(name) => name.as_bytes().into(),
        Err(_) if name.is_instance_of::<PyString>() => native(&name)?,
        Err(_) => {
            let found = object::class_name(&name);
            return Err(PyTypeError::new_err(format!("ssl_var_lookup() argument must be bytes, not {found}")));
        }
    };
    match this.request.blocking(py, |live| live.transport.ask_variable(&name)).flatten() {
        Some(value) => Ok(object::latin1(py, &value)?.into_any()),
        None => Ok(py.None().into_bound(py)),
    }
}
