//! The built-in modules `mod_wsgi` and `apache` as applications import them.

use std::sync::OnceLock;

use pyo3::exceptions::{PyAttributeError, PyOSError, PyRuntimeError};
use pyo3::types::{
    PyAnyMethods, PyDict, PyDictMethods, PyListMethods, PyModule, PyModuleMethods, PySet, PySetMethods, PyString,
    PyType,
};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_wire::codec::Bytes;
use wsgi_wire::messages::{Topic, applications, internal};
use wsgi_wire::record::{Level, LogRecord, Origin, Stream};

use crate::api::events;
use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::ffi::object;
use crate::interpreter::{Interpreter, advice};
use crate::log::record;
use crate::process::Process;
use crate::request;

/// The version of mod_wsgi whose interface this is; applications compare it.
pub(crate) const VERSION: (u32, u32, u32) = (6, 1, 1);

/// The functions of the module `mod_wsgi`: methods of one object, which knows its interpreter.
pub(crate) struct Functions {
    interpreter: OnceLock<&'static Interpreter>,
}

impl Functions {
    /// The functions of an interpreter that is still being set up.
    pub(crate) fn new() -> Self {
        Self { interpreter: OnceLock::new() }
    }

    /// Says which interpreter they belong to.
    pub(crate) fn set_interpreter(&self, interpreter: &'static Interpreter) {
        // Set once, while the interpreter is set up.
        let _ = self.interpreter.set(interpreter);
    }

    fn interpreter(&self) -> PyResult<&'static Interpreter> {
        self.interpreter.get().copied().ok_or_else(|| PyRuntimeError::new_err("mod_wsgi is not set up yet"))
    }
}

const FUNCTIONS: &[&str] = &[
    "subscribe_events",
    "subscribe_shutdown",
    "subscribe_signals",
    "request_data",
    "start_recording_metrics",
    "request_metrics",
    "process_metrics",
    "server_metrics",
    "__getattr__",
    "__dir__",
];

/// Names that [`late_attribute`] knows.
const LATE: &[&str] = &["LogHandler", "active_requests"];

impl Class for Functions {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Functions";
    const DOC: &'static std::ffi::CStr = c"The functions of the module mod_wsgi.";

    fn define(class: &mut Definition<Self>) {
        class
            .method(c"subscribe_events", |this, args| {
                let callback = args.required("subscribe_events", 0, 1, 1)?;
                this.interpreter()?.callbacks.events.bind(this.py()).append(&callback)?;
                Ok(callback)
            })
            .method(c"subscribe_shutdown", |this, args| {
                let callback = args.required("subscribe_shutdown", 0, 1, 1)?;
                this.interpreter()?.callbacks.shutdown.bind(this.py()).append(&callback)?;
                Ok(callback)
            })
            .method(c"subscribe_signals", subscribe_signals)
            .method(c"request_data", request_data)
            .method(c"start_recording_metrics", start_recording_metrics)
            .method(c"request_metrics", request_metrics)
            .method(c"process_metrics", process_metrics)
            .method(c"server_metrics", server_metrics)
            .method(c"__getattr__", late_attribute)
            .method(c"__dir__", all_names)
            .method(c"_log_enabled", log_enabled)
            .method(c"_log", log_from_logging)
            .method(c"_note", note)
            .method(c"_about_to_fork", about_to_fork);
    }
}

/// Subscribes to signals, in daemon processes only: in embedded mode signals are Apache's.
fn subscribe_signals<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, callback) = (this.py(), args.required("subscribe_signals", 0, 1, 1)?);
    if Process::get().is_embedded() {
        let stack = py.import("traceback")?.call_method0("format_stack")?;
        let stack: String = PyString::new(py, "").call_method1("join", (stack,))?.extract()?;
        let text = "mod_wsgi.subscribe_signals() has no effect in embedded mode: signals are for Apache there.";
        events::log(py, Topic::INFO, &format!("{text}\n{}", stack.trim_end()));
    } else {
        this.interpreter()?.callbacks.signals.bind(py).append(&callback)?;
    }
    Ok(callback)
}

fn request_data<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    args.count("request_data", 0, 0)?;
    let request = request::current(this.py()).ok_or_else(|| PyRuntimeError::new_err("no active request for thread"))?;
    Ok(request.data(this.py()).into_any())
}

fn start_recording_metrics<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    args.count("start_recording_metrics", 0, 0)?;
    Process::get().metrics.start(this.py());
    Ok(this.py().None().into_bound(this.py()))
}

fn request_metrics<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    args.count("request_metrics", 0, 0)?;
    crate::api::metrics::request_metrics(this.py(), Process::get())
}

fn process_metrics<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    args.count("process_metrics", 0, 0)?;
    crate::api::metrics::process_metrics(this.py(), Process::get())
}

fn server_metrics<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    args.count("server_metrics", 0, 0)?;
    crate::api::server_metrics::server_metrics(this.py(), Process::get())
}

/// Makes an attribute when it is first asked for: `LogHandler` costs an import of `logging`, and `active_requests` a
/// dict for each request from then on.
fn late_attribute<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, name) = (this.py(), args.required("__getattr__", 0, 1, 1)?);
    let name: String = name.extract()?;
    let made = match &*name {
        "LogHandler" => {
            let arguments = (this.object.getattr("_log_enabled")?, this.object.getattr("_log")?);
            this.interpreter()?.prelude.bind(py).getattr("log_handler")?.call1(arguments)?
        }
        "active_requests" => this.interpreter()?.active_requests.dict(py).into_any(),
        _ => return Err(PyAttributeError::new_err(format!("module 'mod_wsgi' has no attribute '{name}'"))),
    };
    py.import("mod_wsgi")?.setattr(name, &made)?;
    Ok(made)
}

/// Implements `dir(mod_wsgi)`: all names, and those that are made late.
fn all_names<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    args.count("__dir__", 0, 0)?;
    let names = PySet::empty(this.py())?;
    LATE.iter().try_for_each(|name| names.add(*name))?;
    names.call_method1("update", (this.py().import("mod_wsgi")?.dict(),))?;
    Ok(names.into_any())
}

/// Returns the Apache level with the meaning of a level of Python's module `logging`.
fn level(number: i64) -> Level {
    match number {
        50.. => Level::Crit,
        40.. => Level::Error,
        30.. => Level::Warn,
        20.. => Level::Info,
        _ => Level::Debug,
    }
}

fn log_enabled<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let level = level(args.required("_log_enabled", 0, 1, 1)?.extract()?);
    // A directory may want more or less than its server.
    let enabled = request::current(this.py()).map_or_else(|| record::enabled(level), |request| request.logs(level));
    Ok(pyo3::types::PyBool::new(this.py(), enabled).to_owned().into_any())
}

/// Implements `_log(level, message, traceback or None, logger, file, line)`, which `LogHandler` calls.
fn log_from_logging<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let argument = |at| args.required("_log", at, 6, 6);
    let text = |at| argument(at)?.str()?.call_method1("encode", ("utf-8", "backslashreplace"))?.extract::<Vec<u8>>();
    let record = LogRecord {
        level: level(argument(0)?.extract()?),
        stream: Stream::Logging,
        writer: record::writer(),
        message: Bytes(text(1)?),
        traceback: if argument(2)?.is_none() { None } else { Some(Bytes(text(2)?)) },
        origin: Some(Origin {
            logger: Bytes(text(3)?),
            file: Bytes(text(4)?),
            // Whoever makes records by hand may put anything there.
            line: argument(5)?.extract().unwrap_or(0),
        }),
    };
    events::log_record(this.py(), record, this.interpreter().ok());
    Ok(this.py().None().into_bound(this.py()))
}

/// Implements `_note(text)`: writes a record of our own at level info.
fn note<'py>(this: This<'_, 'py, Functions>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let text = args.required("_note", 0, 1, 1)?.call_method1("encode", ("utf-8", "backslashreplace"))?;
    events::log(this.py(), Topic::INFO, &String::from_utf8_lossy(text.extract()?));
    Ok(this.py().None().into_bound(this.py()))
}

/// Implements `_about_to_fork()`: Python calls it before an application forks.
fn about_to_fork<'py>(this: This<'_, 'py, Functions>, _args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    if let Some(advice) = advice::fork_advice(this.interpreter()?) {
        events::log(this.py(), &applications::FORK_IN_VAIN, &advice);
    }
    Ok(this.py().None().into_bound(this.py()))
}

/// The object in place of `sys.stdin` or `sys.stdout` where the configuration forbids these: every use is an error.
pub(crate) struct Restricted {
    /// The name of the stream, as Python code spells it.
    pub(crate) name: &'static str,
}

impl Class for Restricted {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Restricted";
    const DOC: &'static std::ffi::CStr = c"A stream that applications must not use.";

    fn define(class: &mut Definition<Self>) {
        class.lookup(|this, _name| Err(PyOSError::new_err(format!("{} access restricted by mod_wsgi", this.name))));
    }
}

/// Makes the module `mod_wsgi` and puts it into `sys.modules`, in place of the package of that name, whose submodules
/// stay importable.
///
/// # Errors
/// What CPython raises.
pub(crate) fn install(
    py: Python<'_>,
    interpreter: &'static Interpreter,
    functions: &Bound<'_, PyAny>,
    file_wrapper: &Bound<'_, PyType>,
) -> PyResult<()> {
    let settings = &Process::get().settings;
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    let module = PyModule::new(py, "mod_wsgi")?;
    match py.import("mod_wsgi").and_then(|package| package.getattr("__path__")) {
        Ok(path) => module.setattr("__path__", path)?,
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyModuleNotFoundError>(py) => {}
        Err(error) => {
            let text = crate::log::traceback::describe(py, &error);
            record::process(
                &internal::NO_PACKAGE,
                &format!("The package mod_wsgi cannot be imported; its submodules are missing:\n{text}"),
            );
        }
    }
    module.setattr("version", VERSION)?;
    module.setattr("process_group", object::latin1(py, &settings.group)?)?;
    module.setattr("application_group", object::latin1(py, &interpreter.group)?)?;
    module.setattr("maximum_processes", settings.processes)?;
    module.setattr("threads_per_process", settings.threads)?;
    module.setattr("FileWrapper", file_wrapper)?;
    module.setattr("RequestTimeout", interpreter.request_timeout.bind(py))?;
    module.setattr("ClientDisconnected", interpreter.client_disconnected.bind(py))?;
    module.setattr("event_callbacks", interpreter.callbacks.events.bind(py))?;
    module.setattr("shutdown_callbacks", interpreter.callbacks.shutdown.bind(py))?;
    module.setattr("signal_callbacks", interpreter.callbacks.signals.bind(py))?;
    for name in FUNCTIONS {
        module.setattr(*name, functions.getattr(*name)?)?;
    }
    modules.set_item("mod_wsgi", &module)?;

    let server = &settings.server;
    let apache = PyModule::new(py, "apache")?;
    apache.setattr("version", apache_version(settings))?;
    apache.setattr("maximum_processes", server.maximum_processes)?;
    apache.setattr("threads_per_process", server.threads_per_process)?;
    apache.setattr("description", server.description.as_str())?;
    apache.setattr("mpm_name", server.mpm.as_str())?;
    apache.setattr("build_date", server.built.as_str())?;
    modules.set_item("apache", apache)
}

/// Returns Apache's version as applications see it.
pub(crate) fn apache_version(settings: &wsgi_wire::settings::Daemon) -> (u32, u32, u32) {
    let (major, (minor, patch)) = settings.server.version;
    (major, minor, patch)
}
