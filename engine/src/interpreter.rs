//! Interpreters: the main one, and one sub-interpreter for each further application group.

use std::collections::HashMap;
use std::ffi::CString;
use std::sync::{Mutex, OnceLock, PoisonError};

use pyo3::types::{PyAnyMethods, PyDict, PyList, PyModule, PyType};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_wire::record::Level;

use crate::adapter::Adapter;
use crate::events::Callbacks;
use crate::failure;
use crate::ffi::attach::{self, Handle};
use crate::ffi::class::Type;
use crate::ffi::interpreter::{SubInterpreter, create, end};
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::file_wrapper::FileWrapper;
use crate::input::Input;
use crate::module::{self, Functions, Restricted};
use crate::names::Names;
use crate::process::Process;
use crate::record;
use crate::script::Scripts;
use crate::streams::{self, Log};

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

/// One interpreter and everything of ours in it. It lives as long as the process.
pub(crate) struct Interpreter {
    /// How to attach to it.
    pub(crate) handle: Handle,
    /// The application group; empty is the main interpreter.
    pub(crate) group: Vec<u8>,
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

/// What `<WSGIInterpreterOptions>` and the directives above it say about one interpreter.
struct Options {
    python_path: Vec<Vec<Vec<u8>>>,
    restrict_stdin: bool,
    restrict_stdout: bool,
    restrict_signal: bool,
    switch_interval: Option<f64>,
}

impl Options {
    fn of(group: &[u8]) -> Self {
        let settings = &Process::get().settings;
        let bytes = |list: &[wsgi_wire::codec::Bytes]| list.iter().map(|b| b.0.clone()).collect::<Vec<_>>();
        let mut options = Self {
            python_path: vec![bytes(&settings.python_path)],
            restrict_stdin: false,
            restrict_stdout: false,
            restrict_signal: true,
            switch_interval: None,
        };
        let fits = |name: &Option<wsgi_wire::codec::Bytes>| name.as_ref().is_none_or(|name| name.0 == group);
        for layer in settings.interpreters.iter().filter(|layer| fits(&layer.application_group)) {
            options.python_path.push(bytes(&layer.python_path));
            options.restrict_stdin = layer.restrict_stdin.unwrap_or(options.restrict_stdin);
            options.restrict_stdout = layer.restrict_stdout.unwrap_or(options.restrict_stdout);
            options.restrict_signal = layer.restrict_signal.unwrap_or(options.restrict_signal);
            options.switch_interval = layer.switch_interval.or(options.switch_interval);
        }
        options
    }
}

impl Interpreter {
    /// Prepares the attached interpreter for an application group.
    ///
    /// # Errors
    /// What CPython raises; then the interpreter cannot be used.
    pub(crate) fn set_up(py: Python<'_>, group: &[u8]) -> PyResult<&'static Self> {
        // Whichever thread imports it first is its main thread, which CPython waits for at the end: that must not be a thread of Apache.
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
        let source = CString::new(include_str!("prelude.py"))?;
        let interpreter: &'static Self = Box::leak(Box::new(Self {
            handle: Handle::current(py),
            group: group.to_vec(),
            types,
            names: Names::new(py),
            callbacks: Callbacks::new(py),
            active_requests: Owned::new(PyDict::new(py)),
            request_timeout: Owned::new(timeout),
            prelude: Owned::new(PyModule::from_code(py, &source, c"<mod_wsgi>", c"_mod_wsgi_prelude")?),
            scripts: Scripts::default(),
        }));
        interpreter.prepare(py)?;
        Ok(interpreter)
    }

    fn prepare(&'static self, py: Python<'_>) -> PyResult<()> {
        let (settings, options) = (&Process::get().settings, Options::of(&self.group));
        let (sys, prelude) = (py.import("sys")?, self.prelude.bind(py));
        if let Some(interval) = options.switch_interval {
            sys.call_method1("setswitchinterval", (interval,))?;
        }
        let functions = Functions::new();
        functions.settle(self);
        module::install(py, self, &self.types.functions.instance(py, functions)?)?;
        sys.setattr("stderr", streams::standard(py, self, "<stderr>")?)?;
        let stdout = match options.restrict_stdout {
            true => self.types.restricted.instance(py, Restricted { name: "sys.stdout" })?,
            false => streams::standard(py, self, "<stdout>")?,
        };
        sys.setattr("stdout", stdout)?;
        if options.restrict_stdin {
            sys.setattr("stdin", self.types.restricted.instance(py, Restricted { name: "sys.stdin" })?)?;
        }
        sys.setattr("argv", PyList::new(py, ["mod_wsgi"])?)?;
        if options.restrict_signal && settings.threads > 0 {
            prelude.call_method1("restrict_signals", (self.note(py)?,))?;
        }
        prelude.call_method0("become_user")?;
        if let Some(eggs) = &settings.python_eggs {
            let environ = py.import("os")?.getattr("environ")?;
            environ.set_item("PYTHON_EGG_CACHE", object::path(py, eggs)?)?;
        }
        self.search_path(py, &options)
    }

    /// A function that logs a text at level info.
    fn note<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let log = py.import("mod_wsgi")?.getattr("subscribe_events")?.getattr("__self__")?.getattr("_log")?;
        py.import("functools")?.call_method1("partial", (log, 20))
    }

    fn search_path(&self, py: Python<'_>, options: &Options) -> PyResult<()> {
        let paths = |folders: &[Vec<u8>]| -> PyResult<Vec<_>> { folders.iter().map(|f| object::path(py, f)).collect() };
        let layers = options.python_path.iter().map(|layer| paths(layer)).collect::<PyResult<Vec<_>>>()?;
        let home = Process::get().settings.home.as_ref().map(|home| object::path(py, home)).transpose()?;
        let outcome = self.prelude.bind(py).call_method1("search_path", (layers, home));
        if let Err(error) = outcome {
            let text = failure::describe(py, &error);
            record::process(
                Level::Error,
                &format!("The module search path of {} could not be set up:\n{text}", self.label()),
            );
        }
        Ok(())
    }

    /// Prepares the attached interpreter for its end, or, unless CPython `can_end` it, for going on without any. Whether no other thread is left
    /// in it.
    pub(crate) fn leave(&self, py: Python<'_>, can_end: bool) -> bool {
        let alone = self.prelude.bind(py).call_method1("leave", (can_end,)).and_then(|alone| alone.extract());
        alone.unwrap_or_else(|error| {
            let text = failure::describe(py, &error);
            record::process(Level::Error, &format!("Exception while {} ends:\n{text}", self.label()));
            false
        })
    }

    /// How messages call it.
    pub(crate) fn label(&self) -> String {
        match self.group.is_empty() {
            true => "main interpreter".to_owned(),
            false => format!("sub-interpreter '{}'", String::from_utf8_lossy(&self.group)),
        }
    }
}

struct Other {
    interpreter: &'static Interpreter,
    made: SubInterpreter,
}

/// All interpreters of the process.
#[derive(Default)]
pub(crate) struct Interpreters {
    main: OnceLock<&'static Interpreter>,
    // Locked while an interpreter is being made, by threads that are attached to nothing.
    others: Mutex<HashMap<Vec<u8>, Other>>,
}

impl Interpreters {
    /// The main interpreter has been set up.
    pub(crate) fn set_main(&self, interpreter: &'static Interpreter) {
        // Once, at start.
        let _ = self.main.set(interpreter);
    }

    /// The main interpreter.
    pub(crate) fn main(&self) -> Option<&'static Interpreter> {
        self.main.get().copied()
    }

    /// The interpreter of an application group, made on first use. Called on a thread that is attached to nothing. `None` if it cannot be made;
    /// the log says why.
    pub(crate) fn get(&self, group: &[u8]) -> Option<&'static Interpreter> {
        if group.is_empty() {
            return self.main();
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = others.get(group) {
            return Some(other.interpreter);
        }
        let name = String::from_utf8_lossy(group);
        let Some(made) = create(self.main()?.handle) else {
            record::process(Level::Error, &format!("The sub-interpreter '{name}' could not be created."));
            return None;
        };
        let set_up = attach::with(made.handle, |py| {
            Interpreter::set_up(py, group).map_err(|error| failure::describe(py, &error))
        });
        match set_up {
            Ok(interpreter) => {
                others.insert(group.to_vec(), Other { interpreter, made });
                Some(interpreter)
            }
            Err(text) => {
                record::process(Level::Error, &format!("The sub-interpreter '{name}' could not be set up:\n{text}"));
                None
            }
        }
    }

    /// Ends all sub-interpreters, on a thread that is attached to nothing, when no request runs any more. Whether none is left.
    pub(crate) fn end(&self) -> bool {
        let Some(main) = self.main() else { return true };
        let others = std::mem::take(&mut *self.others.lock().unwrap_or_else(PoisonError::into_inner));
        let ended =
            others.into_values().map(|other| end(main.handle, other.made, |py| other.interpreter.leave(py, true)));
        // Every one is ended, whatever became of those before.
        ended.filter(|ended| !ended).count() == 0
    }

    /// The main interpreter and all others.
    pub(crate) fn all(&self) -> Vec<&'static Interpreter> {
        self.main().into_iter().chain(self.others()).collect()
    }

    /// All sub-interpreters.
    pub(crate) fn others(&self) -> Vec<&'static Interpreter> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).values().map(|other| other.interpreter).collect()
    }
}
