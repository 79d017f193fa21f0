//! One interpreter: what of ours is in it, and how it is prepared.

pub(crate) mod advice;
pub(crate) mod names;
pub(crate) mod options;

use std::ffi::CString;
use std::sync::OnceLock;

use pyo3::panic::PanicException;
use pyo3::types::{PyAnyMethods, PyDict, PyList, PyModule, PyType};
use pyo3::{Bound, PyResult, PyTypeInfo, Python};
use wsgi_wire::record::{Level, Stream};

use crate::api::events::Callbacks;
use crate::api::module::{self, Functions, Restricted};
use crate::ffi::attach::Handle;
use crate::ffi::class::Type;
use crate::ffi::interpreter::Lock;
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::ffi::recorder::thread;
use crate::gateway::errors::{self, Log};
use crate::gateway::file_wrapper::FileWrapper;
use crate::gateway::input::Input;
use crate::gateway::script::Scripts;
use crate::gateway::start_response::Adapter;
use crate::interpreter::names::Names;
use crate::interpreter::options::Options;
use crate::log::record;
use crate::log::traceback;
use crate::process::Process;
use crate::process::forked;

/// The types that an interpreter has of us.
pub(crate) struct Types {
    /// `mod_wsgi.Adapter`
    pub(crate) adapter: Type<Adapter>,
    /// `mod_wsgi.Input`
    pub(crate) input: Type<Input>,
    /// `mod_wsgi.Log`
    pub(crate) log: Type<Log>,
    /// `mod_wsgi.FileWrapper`
    pub(crate) file_wrapper: Type<FileWrapper>,
    functions: Type<Functions>,
    restricted: Type<Restricted>,
}

/// The module of what is easier said in Python; applications do not find it.
fn prelude(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    let (source, name) = (CString::new(include_str!("../interpreters/prelude.py"))?, c"_mod_wsgi_prelude");
    let module = PyModule::from_code(py, &source, c"<mod_wsgi>", name)?;
    py.import("sys")?.getattr("modules")?.del_item("_mod_wsgi_prelude")?;
    Ok(module)
}

/// One interpreter and everything of ours in it. It lives as long as the process.
pub(crate) struct Interpreter {
    /// How to attach to it.
    pub(crate) handle: Handle,
    /// The application group; empty is the main interpreter.
    pub(crate) group: Vec<u8>,
    /// The application group whose only interpreter the main one is.
    adopted: OnceLock<Vec<u8>>,
    /// Whether it has a lock of its own.
    pub(crate) own_lock: bool,
    /// Python's and the kernel's number of the thread that prepared it.
    maker: (u64, u32),
    /// Our types.
    pub(crate) types: Types,
    /// Our strings.
    pub(crate) names: Names,
    /// Who wants to hear of events.
    pub(crate) callbacks: Callbacks,
    /// `mod_wsgi.active_requests`
    pub(crate) active_requests: Owned<PyDict>,
    /// `mod_wsgi.RequestTimeout`
    pub(crate) request_timeout: Owned<PyType>,
    /// What is easier said in Python.
    pub(crate) prelude: Owned<PyModule>,
    /// Its scripts.
    pub(crate) scripts: Scripts,
}

impl Interpreter {
    /// Prepares the attached interpreter for an application group. The main interpreter has to be the first.
    ///
    /// # Errors
    /// What CPython raises; then the interpreter cannot be used.
    pub(crate) fn set_up(py: Python<'_>, group: &[u8], options: Options) -> PyResult<&'static Self> {
        if group.is_empty() {
            // pyo3 makes this class in whichever interpreter needs it first, and compares with it everywhere: it must live as long as the process.
            // When pyo3 meets one it writes raw text to descriptor 2 and panics. Nothing here raises it, and an application that has found the class
            // gets a TypeError: None, which all interpreters share, cannot be called.
            PanicException::type_object(py).setattr("__new__", py.None())?;
        }
        // Whichever thread imports it first is its main thread, which CPython waits for at the end: in the main interpreter that is this one.
        py.import("threading")?;
        let types = Types {
            adapter: Type::new(py)?,
            input: Type::new(py)?,
            log: Type::new(py)?,
            file_wrapper: Type::new(py)?,
            functions: Type::new(py)?,
            restricted: Type::new(py)?,
        };
        let timeout = object::base_exception(
            py,
            c"mod_wsgi.RequestTimeout",
            c"Raised in a request that exceeds request-timeout.",
        )?;
        let interpreter: &'static Self = Box::leak(Box::new(Self {
            handle: Handle::current(py),
            group: group.to_vec(),
            adopted: OnceLock::new(),
            own_lock: options.lock == Lock::Own,
            maker: (object::thread_ident(), thread()),
            types,
            names: Names::new(py),
            callbacks: Callbacks::new(py),
            active_requests: Owned::new(PyDict::new(py)),
            request_timeout: Owned::new(timeout),
            prelude: Owned::new(prelude(py)?),
            scripts: Scripts::default(),
        }));
        interpreter.prepare(py, &options)?;
        Ok(interpreter)
    }

    fn prepare(&'static self, py: Python<'_>, options: &Options) -> PyResult<()> {
        let settings = &Process::get().settings;
        let (sys, prelude) = (py.import("sys")?, self.prelude.bind(py));
        if let Some(interval) = options.switch_interval {
            sys.call_method1("setswitchinterval", (interval,))?;
        }
        if options.vain_interval {
            let text = format!(
                "WSGISwitchInterval has no effect on the {}, which shares its lock with the main interpreter; give it one of its own with \
                 WSGIPerInterpreterGIL On (Python 3.12 and later), or set the interval for the whole process group.",
                self.label()
            );
            record::process(Level::Warn, &text);
        }
        let functions = Functions::new();
        functions.settle(self);
        let functions = self.types.functions.instance(py, functions)?;
        module::install(py, self, &functions)?;
        sys.setattr("stderr", errors::standard(py, self, Stream::Stderr)?)?;
        let stdout = match options.restrict_stdout {
            true => self.types.restricted.instance(py, Restricted { name: "sys.stdout" })?,
            false => errors::standard(py, self, Stream::Stdout)?,
        };
        sys.setattr("stdout", stdout)?;
        if options.restrict_stdin {
            sys.setattr("stdin", self.types.restricted.instance(py, Restricted { name: "sys.stdin" })?)?;
        }
        sys.setattr("argv", PyList::new(py, ["mod_wsgi"])?)?;
        if options.restrict_signal && settings.threads > 0 {
            prelude.call_method1("restrict_signals", (functions.getattr("_note")?,))?;
        }
        if let Some(main) = crate::interpreters::Interpreters::get().main() {
            prelude.call_method1("share_main_thread", main.maker)?;
        }
        prelude.call_method0("become_user")?;
        if let Some(eggs) = &settings.python_eggs {
            let environ = py.import("os")?.getattr("environ")?;
            environ.set_item("PYTHON_EGG_CACHE", object::path(py, eggs)?)?;
        }
        self.search_path(py, options)
    }

    /// The application group that records name.
    pub(crate) fn application_group(&self) -> &[u8] {
        self.adopted.get().unwrap_or(&self.group)
    }

    /// Makes this, the main interpreter, the one of an application group: applications see its name. Attached to it.
    pub(crate) fn adopt(&self, py: Python<'_>, group: &[u8]) {
        // Once: callers see to that.
        let _ = self.adopted.set(group.to_vec());
        let name = || py.import("mod_wsgi")?.setattr("application_group", object::latin1(py, group)?);
        if let Err(error) = name() {
            let text = traceback::describe(py, &error);
            record::process(Level::Error, &format!("The {} could not be given its name:\n{text}", self.label()));
        }
    }

    fn search_path(&self, py: Python<'_>, options: &Options) -> PyResult<()> {
        let paths = |folders: &[Vec<u8>]| -> PyResult<Vec<_>> { folders.iter().map(|f| object::path(py, f)).collect() };
        let settings = &Process::get().settings;
        let base: Vec<_> = settings.python_path.iter().map(|folder| folder.0.clone()).collect();
        let layers = std::iter::once(&base).chain(&options.python_path);
        let layers = layers.map(|layer| paths(layer)).collect::<PyResult<Vec<_>>>()?;
        let home = settings.home.as_ref().map(|home| object::path(py, home)).transpose()?;
        let outcome = self.prelude.bind(py).call_method1("search_path", (layers, home));
        if let Err(error) = outcome {
            let text = traceback::describe(py, &error);
            record::process(
                Level::Error,
                &format!("The module search path of {} could not be set up:\n{text}", self.label()),
            );
        }
        Ok(())
    }

    /// Waits until its threads have ended, but for daemons. Attached to it.
    pub(crate) fn join_threads(&self, py: Python<'_>) {
        let process = Process::get();
        // Half of the time until the process ends by force; 0: it has all time.
        let patience = f64::from(process.settings.shutdown_timeout) / 2.0;
        let held_up = process.recorder.dump_function(py).ok().flatten().filter(|_| patience > 0.0);
        self.at_end(py, "join_threads", (patience, held_up));
    }

    /// Runs its exit functions, where CPython will not do it. Attached to it.
    pub(crate) fn run_exit_functions(&self, py: Python<'_>) {
        self.at_end(py, "run_exit_functions", ());
    }

    fn at_end<'py>(&self, py: Python<'py>, step: &str, arguments: impl pyo3::call::PyCallArgs<'py>) {
        let called = self.prelude.bind(py).call_method1(step, arguments);
        forked::came_back(py, called.as_ref().err());
        if let Err(error) = called {
            let text = traceback::describe(py, &error);
            record::process(Level::Error, &format!("Exception while the {} ends:\n{text}", self.label()));
        }
    }

    /// A number that no other interpreter has.
    pub(crate) fn number(&'static self) -> u64 {
        std::ptr::from_ref(self).addr() as u64
    }

    /// How messages call it.
    pub(crate) fn label(&self) -> String {
        match self.group.is_empty() {
            true => "main interpreter".to_owned(),
            false => format!("sub-interpreter '{}'", String::from_utf8_lossy(&self.group)),
        }
    }
}
