//! One interpreter, and everything of ours in it: types, names, callbacks, scripts.
//!
//! Knows its options and how it is called in records. Must not know other interpreters, the modules and types that it
//! is given, or requests.

pub(crate) mod active;
pub(crate) mod advice;
pub(crate) mod callbacks;
pub(crate) mod names;
pub(crate) mod options;
pub(crate) mod scripts;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::{PyBaseException, PyOSError};
use pyo3::types::{PyAnyMethods, PyModule, PyType};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_unix::thread_id;
use wsgi_wire::messages::{applications, internal};

use crate::ffi::attach::Handle;
use crate::ffi::classes::Classes;
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::interpreter::active::ActiveRequests;
use crate::interpreter::callbacks::Callbacks;
use crate::interpreter::names::Names;
use crate::interpreter::scripts::Scripts;
use crate::log::record;
use crate::log::traceback;
use crate::process::Process;
use crate::process::forked;

/// Whether there are other interpreters than the main one.
static OTHERS: AtomicBool = AtomicBool::new(false);

/// One interpreter and everything of ours in it. It lives as long as the process.
pub(crate) struct Interpreter {
    /// The handle by which threads attach to it.
    pub(crate) handle: Handle,
    /// The application group; empty is the main interpreter.
    pub(crate) group: Vec<u8>,
    /// The application group whose only interpreter this one, the main interpreter, is.
    adopted: OnceLock<Vec<u8>>,
    /// Whether it has a GIL of its own.
    pub(crate) own_gil: bool,
    /// The numbers that Python and the kernel give to the thread that prepared it.
    pub(crate) maker: (u64, u32),
    /// The Python types of ours, made for this interpreter.
    pub(crate) classes: Classes,
    /// The Python strings of ours, made for this interpreter.
    pub(crate) names: Names,
    /// The callbacks that are subscribed to events.
    pub(crate) callbacks: Callbacks,
    /// The list behind `mod_wsgi.active_requests`.
    pub(crate) active_requests: ActiveRequests,
    /// The exception class `mod_wsgi.RequestTimeout`.
    pub(crate) request_timeout: Owned<PyType>,
    /// The class `mod_wsgi.ClientDisconnected`.
    pub(crate) client_disconnected: Owned<PyType>,
    /// The functions that are written in Python (`prelude.py`).
    pub(crate) prelude: Owned<PyModule>,
    /// The scripts that it has loaded.
    pub(crate) scripts: Scripts,
}

impl Interpreter {
    /// Makes the record of the attached interpreter, with these types and this prelude, for an application group. It
    /// lives as long as the process.
    ///
    /// # Errors
    /// What CPython raises.
    pub(crate) fn new(
        py: Python<'_>,
        group: &[u8],
        own_gil: bool,
        classes: Classes,
        prelude: Bound<'_, PyModule>,
    ) -> PyResult<&'static Self> {
        let timeout = object::exception(
            &py.get_type::<PyBaseException>(),
            c"mod_wsgi.RequestTimeout",
            c"Raised in a request that exceeds request-timeout.",
        )?;
        let disconnected = object::exception(
            &py.get_type::<PyOSError>(),
            c"mod_wsgi.ClientDisconnected",
            c"Raised by send() of an ASGI application whose client is gone.",
        )?;
        OTHERS.fetch_or(!group.is_empty(), Ordering::Relaxed);
        Ok(Box::leak(Box::new(Self {
            handle: Handle::current(py),
            group: group.to_vec(),
            adopted: OnceLock::new(),
            own_gil,
            maker: (object::thread_ident(), thread_id()),
            classes,
            names: Names::new(py),
            callbacks: Callbacks::new(py),
            active_requests: ActiveRequests::default(),
            request_timeout: Owned::new(timeout),
            client_disconnected: Owned::new(disconnected),
            prelude: Owned::new(prelude),
            scripts: Scripts::default(),
        })))
    }

    /// Whether the process has, or had, other interpreters than the main one.
    pub(crate) fn has_others() -> bool {
        OTHERS.load(Ordering::Relaxed)
    }

    /// The application group that records of this interpreter name.
    pub(crate) fn application_group(&self) -> &[u8] {
        self.adopted.get().unwrap_or(&self.group)
    }

    /// Makes this, the main interpreter, the one of an application group, whose name applications see then. Called
    /// attached to it.
    pub(crate) fn adopt(&self, py: Python<'_>, group: &[u8]) {
        // Once: callers see to that.
        let _ = self.adopted.set(group.to_vec());
        let name = || py.import("mod_wsgi")?.setattr("application_group", object::latin1(py, group)?);
        if let Err(error) = name() {
            let text = traceback::describe(py, &error);
            record::process(&internal::NO_NAME, &format!("The {} could not be given its name:\n{text}", self.label()));
        }
    }

    /// Waits until its threads have ended, but for daemon threads. Called attached to it.
    pub(crate) fn join_threads(&self, py: Python<'_>) {
        let process = Process::get();
        // Half of the time until the process ends by force; 0: it has all time.
        let wait = f64::from(process.settings.shutdown_timeout) / 2.0;
        let held_up = process.recorder.dump_function(py).ok().flatten().filter(|_| wait > 0.0);
        self.at_end(py, "join_threads", (wait, held_up));
    }

    /// Runs its exit functions, where CPython will not do it. Called attached to it.
    pub(crate) fn run_exit_functions(&self, py: Python<'_>) {
        self.at_end(py, "run_exit_functions", ());
    }

    fn at_end<'py>(&self, py: Python<'py>, step: &str, arguments: impl pyo3::call::PyCallArgs<'py>) {
        let called = self.prelude.bind(py).call_method1(step, arguments);
        forked::came_back(py, called.as_ref().err());
        if let Err(error) = called {
            let text = traceback::describe(py, &error);
            record::process(
                &applications::INTERPRETER_END_FAILED,
                &format!("Exception while the {} ends:\n{text}", self.label()),
            );
        }
    }

    /// Whether a call of an application gives a coroutine for certain. Attached to it.
    pub(crate) fn is_async(&self, application: &Bound<'_, PyAny>) -> bool {
        let answer = self.prelude.bind(application.py()).call_method1("is_async", (application,));
        answer.and_then(|answer| answer.is_truthy()).unwrap_or(false)
    }

    /// A number that no other interpreter has.
    pub(crate) fn id(&'static self) -> u64 {
        std::ptr::from_ref(self).addr() as u64
    }

    /// The name of the interpreter in messages.
    pub(crate) fn label(&self) -> String {
        match self.group.is_empty() {
            true => "main interpreter".to_owned(),
            false => format!("sub-interpreter '{}'", String::from_utf8_lossy(&self.group)),
        }
    }
}
