//! `wsgi.errors`, `sys.stdout` and `sys.stderr`: text streams around a [`Log`], which cuts what it gets into lines for
//! the error log.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyDeprecationWarning, PyRuntimeError, PyTypeError};
use pyo3::types::{PyAnyMethods, PyBytes, PyBytesMethods, PyDict, PyMemoryView, PyString};
use pyo3::{Bound, PyAny, PyErr, PyResult, Python};
use wsgi_unix::fork;
use wsgi_wire::record::Stream;

use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::interpreter::Interpreter;
use crate::log::order;
use crate::log::outside;
use crate::request::{self, Request};

/// The receiver of text that is written to a stream.
enum Target {
    /// The request that this `wsgi.errors` belongs to receives it.
    Request(Arc<Request>),
    /// The request that the writing thread serves receives it, or else the log of the process.
    Thread,
    /// Nobody receives it: the request is over.
    Nobody,
}

/// The binary stream below a text stream.
pub(crate) struct Log {
    stream: Stream,
    interpreter: &'static Interpreter,
    target: Mutex<Target>,
}

impl Log {
    fn target(&self) -> std::sync::MutexGuard<'_, Target> {
        // Locked only for a moment, with the GIL held, so that nobody ever waits.
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, py: Python<'_>, method: &str) -> PyResult<Option<Arc<Request>>> {
        match &*self.target() {
            Target::Request(request) => Ok(Some(Arc::clone(request))),
            Target::Thread => Ok(request::current(py)),
            Target::Nobody => Err(over(method)),
        }
    }

    fn write(&self, py: Python<'_>, method: &str, text: &[u8]) -> PyResult<()> {
        if !fork::is_ours() {
            // The request is another process's, and its locks may be locked for ever.
            self.write_outside(py, text);
            return Ok(());
        }
        let Some(request) = self.request(py, method)? else {
            order::await_log(py);
            self.write_outside(py, text);
            return Ok(());
        };
        let write = |live: &mut request::Live| {
            live.write_log(self.stream, text);
            live.transport.flush(false)
        };
        if request.with(py, write).is_some() {
            return Ok(());
        }
        match &*self.target() {
            Target::Thread => self.write_outside(py, text),
            Target::Request(_) | Target::Nobody => return Err(over(method)),
        }
        Ok(())
    }

    fn write_outside(&self, py: Python<'_>, text: &[u8]) {
        outside::write(py, self.stream, self.interpreter.application_group(), text);
    }
}

fn over(method: &str) -> pyo3::PyErr {
    PyRuntimeError::new_err(format!("{method}() called on wsgi.errors after request completed"))
}

thread_local! {
    /// The `wsgi.errors` that this thread has used, one for each interpreter: in use by its request, or left over from
    /// the last one.
    static ERRORS: RefCell<Vec<Errors>> = const { RefCell::new(Vec::new()) };
}

/// The stream `wsgi.errors` of an interpreter, and the log below it that is told whose text it is.
struct Errors {
    interpreter: &'static Interpreter,
    stream: Owned,
    log: Owned,
}

impl Errors {
    fn aim(&self, py: Python<'_>, target: Target) {
        if let Some(log) = self.interpreter.classes.value::<Log>(self.log.bind(py)) {
            *log.target() = target;
        }
    }
}

/// Warns, once in a process, of an application that writes text to the binary stream: it belongs into the stream around
/// that.
fn warn_of_text(py: Python<'_>) -> PyResult<()> {
    static SAID: AtomicBool = AtomicBool::new(false);
    if SAID.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let category = py.get_type::<PyDeprecationWarning>();
    PyErr::warn(py, &category, c"mod_wsgi.Log takes bytes; write text to the stream whose buffer it is", 1)
}

/// The bytes that `write` was given: any bytes-like object, or text.
fn bytes_of<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    if let Ok(bytes) = data.cast::<PyBytes>() {
        return Ok(bytes.clone());
    }
    if let Ok(text) = data.cast::<PyString>() {
        warn_of_text(data.py())?;
        return Ok(text.call_method1("encode", ("utf-8", "replace"))?.cast_into::<PyBytes>()?);
    }
    let wrong =
        |_| PyTypeError::new_err(format!("a bytes-like object is required, not '{}'", object::class_name(data)));
    let view = PyMemoryView::from(data).map_err(wrong)?;
    Ok(view.call_method0("tobytes")?.cast_into::<PyBytes>()?)
}

fn none<'py>(py: Python<'py>) -> Bound<'py, PyAny> {
    py.None().into_bound(py)
}

impl Class for Log {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Log";
    const DOC: &'static std::ffi::CStr = c"Binary stream whose lines are records of Apache's error log.";

    fn define(class: &mut Definition<Self>) {
        class
            .method(c"write", write)
            .method(c"writelines", write_lines)
            .method(c"flush", flush)
            .method(c"close", |this: This<'_, '_, Self>, _: Args<'_, '_>| Ok(none(this.py())))
            .method(c"isatty", |this, _| Ok(boolean(this.py(), false)))
            .method(c"readable", |this, _| Ok(boolean(this.py(), false)))
            .method(c"seekable", |this, _| Ok(boolean(this.py(), false)))
            .method(c"writable", |this, _| Ok(boolean(this.py(), true)))
            .method(c"fileno", file_number)
            .attribute(c"name", name)
            .attribute(c"encoding", |this| text(this.py(), "utf-8"))
            .attribute(c"errors", |this| text(this.py(), "replace"))
            .attribute(c"closed", |this| Ok(boolean(this.py(), false)));
    }
}

fn text<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyString::new(py, text).into_any())
}

fn boolean<'py>(py: Python<'py>, value: bool) -> Bound<'py, PyAny> {
    pyo3::types::PyBool::new(py, value).to_owned().into_any()
}

fn write<'py>(this: This<'_, 'py, Log>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let data = bytes_of(&args.required("write", 0, 1, 1)?)?;
    this.write(this.py(), "write", data.as_bytes())?;
    Ok(none(this.py()))
}

fn write_lines<'py>(this: This<'_, 'py, Log>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let lines = args.required("writelines", 0, 1, 1)?;
    let wrong = |_| PyTypeError::new_err("writelines() argument must be an iterable of bytes-like objects");
    for line in lines.try_iter().map_err(wrong)? {
        this.write(this.py(), "writelines", bytes_of(&line?)?.as_bytes())?;
    }
    Ok(none(this.py()))
}

fn flush<'py>(this: This<'_, 'py, Log>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    args.count("flush", 0, 0)?;
    // At the end of its request everything has been flushed.
    if let Ok(request) = this.request(this.py(), "flush") {
        let flushed = request.is_some_and(|request| {
            let step = |live: &mut request::Live| {
                live.flush_log();
                live.transport.flush(false)
            };
            request.with(this.py(), step).is_some()
        });
        if !flushed {
            outside::flush(this.py(), this.interpreter.application_group());
        }
    }
    Ok(none(this.py()))
}

/// Raises the error of all streams of Python that have no descriptor, by which libraries know that they have to do
/// without.
fn file_number<'py>(this: This<'_, 'py, Log>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    args.count("fileno", 0, 0)?;
    let unsupported = this.py().import("io")?.getattr("UnsupportedOperation")?;
    Err(PyErr::from_value(unsupported.call1((format!("<{}> has no file descriptor", this.stream.name()),))?))
}

fn name<'py>(this: This<'_, 'py, Log>) -> PyResult<Bound<'py, PyAny>> {
    text(this.py(), &format!("<{}>", this.stream.name()))
}

fn wrap<'py>(py: Python<'py>, log: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let options = PyDict::new(py);
    options.set_item("encoding", "utf-8")?;
    options.set_item("errors", "replace")?;
    options.set_item("newline", py.None())?;
    options.set_item("line_buffering", true)?;
    options.set_item("write_through", true)?;
    py.import("io")?.getattr("TextIOWrapper")?.call((log,), Some(&options))
}

/// Makes a stream for `sys.stdout` or `sys.stderr`.
///
/// # Errors
/// What CPython raises.
pub(crate) fn standard<'py>(
    py: Python<'py>,
    interpreter: &'static Interpreter,
    stream: Stream,
) -> PyResult<Bound<'py, PyAny>> {
    let log = interpreter.classes.instance(py, Log { stream, interpreter, target: Mutex::new(Target::Thread) })?;
    wrap(py, &log)
}

/// Returns a `wsgi.errors`: the one that this thread's last request left behind, if there is one, since making one
/// takes longer than many requests.
///
/// # Errors
/// What CPython raises.
pub(crate) fn errors<'py>(py: Python<'py>, request: &Arc<Request>) -> PyResult<Bound<'py, PyAny>> {
    let interpreter = request.interpreter;
    let target = Target::Request(Arc::clone(request));
    if let Some(errors) = take_errors(interpreter) {
        errors.aim(py, target);
        let stream = errors.stream.get(py);
        ERRORS.with_borrow_mut(|all| all.push(errors));
        return Ok(stream);
    }
    let log = Log { stream: Stream::Errors, interpreter, target: Mutex::new(target) };
    let log = interpreter.classes.instance(py, log)?;
    let stream = wrap(py, &log)?;
    let errors = Errors { interpreter, stream: Owned::new(stream.clone()), log: Owned::new(log) };
    ERRORS.with_borrow_mut(|all| all.push(errors));
    Ok(stream)
}

fn take_errors(interpreter: &Interpreter) -> Option<Errors> {
    ERRORS.with_borrow_mut(|all| {
        let at = all.iter().position(|errors| std::ptr::eq(errors.interpreter, interpreter))?;
        Some(all.swap_remove(at))
    })
}

/// Keeps a request's `wsgi.errors` for the next one, now that the engine does not use it any more, unless the
/// application has kept it.
pub(crate) fn retire(py: Python<'_>, interpreter: &Interpreter) {
    let Some(errors) = take_errors(interpreter) else { return };
    errors.aim(py, Target::Nobody);
    // The log is held by the stream and by us.
    if errors.stream.references(py) == 1 && errors.log.references(py) == 2 {
        ERRORS.with_borrow_mut(|all| all.push(errors));
    }
}
