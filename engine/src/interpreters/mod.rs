//! All interpreters of the process: the main one, and one sub-interpreter for each further application group. Makes
//! them, sets them up and ends them.
//!
//! Knows everything of ours that is in an interpreter. Must not know threads, connections, or the supervisor.

mod set_up;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use pyo3::{PyResult, Python};
use wsgi_wire::messages::internal;

use crate::ffi::attach;
use crate::ffi::interpreter::{Gil, SubInterpreter, create, end};
use crate::interpreter::Interpreter;
use crate::interpreter::options::Options;
use crate::log::record;
use crate::log::traceback;
use crate::process::Process;
use crate::request::route::Route;

/// A sub-interpreter that this process has made.
struct Other {
    interpreter: &'static Interpreter,
    made: SubInterpreter,
}

/// Why an application group has no interpreter; the log has the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InterpreterError {
    /// The interpreter could not be made.
    Failed,
    /// The process has as many interpreters as it may have ([`wsgi_wire::limits::INTERPRETERS`]).
    TooMany,
}

impl InterpreterError {
    /// The status that the client of such a request gets.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::Failed => 500,
            Self::TooMany => 503,
        }
    }
}

/// All interpreters of the process.
pub(crate) struct Interpreters {
    main: OnceLock<&'static Interpreter>,
    // Locked only for a moment, by threads that may be attached.
    others: Mutex<BTreeMap<Vec<u8>, Other>>,
    /// Locked while an interpreter is being made, by threads that are attached to nothing.
    making: Mutex<()>,
    /// Whether the main interpreter has the name of the one application group that it is for.
    named: OnceLock<()>,
    /// Whether some interpreters have GILs of their own.
    own_gils: AtomicBool,
    /// Whether the log has been told that there may be no more interpreters.
    full: AtomicBool,
    /// Whether the end has begun. Read-locked by visitors, whose thread states must be gone before an interpreter can
    /// end.
    ending: RwLock<bool>,
}

static INTERPRETERS: Interpreters = Interpreters {
    main: OnceLock::new(),
    others: Mutex::new(BTreeMap::new()),
    making: Mutex::new(()),
    named: OnceLock::new(),
    own_gils: AtomicBool::new(false),
    full: AtomicBool::new(false),
    ending: RwLock::new(false),
};

impl Interpreters {
    /// The interpreters of this process.
    pub(crate) fn get() -> &'static Self {
        &INTERPRETERS
    }

    /// Returns the interpreter that the requests of a route run in, and makes it if its application group has none yet.
    /// Called on a thread that is attached to nothing.
    ///
    /// # Errors
    /// [`InterpreterError`]; the log says why.
    pub(crate) fn of(&self, route: &Route) -> Result<&'static Interpreter, InterpreterError> {
        match route.interpreter() {
            Some(interpreter) => Ok(interpreter),
            None => Ok(route.set_interpreter(self.for_group(route.application_group())?)),
        }
    }

    /// Sets up the attached interpreter, which Python has begun with, as the main interpreter.
    ///
    /// # Errors
    /// What CPython raises; then the interpreter cannot be used.
    pub(crate) fn set_up_main(&self, py: Python<'_>) -> PyResult<&'static Interpreter> {
        let interpreter = set_up::set_up(py, b"", Options::for_group(b""), None)?;
        // Once, at start.
        let _ = self.main.set(interpreter);
        Ok(interpreter)
    }

    /// The main interpreter.
    pub(crate) fn main(&self) -> Option<&'static Interpreter> {
        self.main.get().copied()
    }

    /// Returns the main interpreter, if it is for this application group. Called on the thread that Python began on,
    /// attached to it.
    pub(crate) fn main_for(&self, py: Python<'_>, group: &[u8]) -> Option<&'static Interpreter> {
        let main = self.main()?;
        if group.is_empty() {
            return Some(main);
        }
        if !Process::get().settings.single_application {
            return None;
        }
        self.named.get_or_init(|| main.adopt(py, group));
        Some(main)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Other>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, group: &[u8]) -> Option<&'static Interpreter> {
        self.lock().get(group).map(|other| other.interpreter)
    }

    /// Returns the interpreter of an application group, and makes it on first use. Called on a thread that is attached
    /// to nothing.
    ///
    /// # Errors
    /// [`InterpreterError`]; the log says why.
    pub(crate) fn for_group(&self, group: &[u8]) -> Result<&'static Interpreter, InterpreterError> {
        let main = self.main().ok_or(InterpreterError::Failed)?;
        if group.is_empty() {
            return Ok(main);
        }
        if Process::get().settings.single_application {
            self.named.get_or_init(|| attach::with(main.handle, |py| main.adopt(py, group)));
            return Ok(main);
        }
        if let Some(known) = self.known(group) {
            return Ok(known);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may just have made it.
        self.known(group).map_or_else(|| self.make(group), Ok)
    }

    fn make(&self, group: &[u8]) -> Result<&'static Interpreter, InterpreterError> {
        let name = String::from_utf8_lossy(group);
        let limit = Process::get().settings.interpreter_limit as usize;
        // The main one is one of them.
        if self.lock().len() + 1 >= limit {
            if !self.full.swap(true, Ordering::Relaxed) {
                let text = format!(
                    "This process has {limit} interpreters and makes no more: requests to the application group '{name}', and to others that it does \
                     not have, are answered 503. If the name depends on the request (%{{HOST}}, %{{ENV:…}}, %{{RESOURCE}} of many scripts or URLs), \
                     name the application group with WSGIApplicationGroup."
                );
                record::process(&internal::TOO_MANY_INTERPRETERS, &text);
            }
            return Err(InterpreterError::TooMany);
        }
        let options = Options::for_group(group);
        let main = self.main().ok_or(InterpreterError::Failed)?;
        let Some(made) = create(main.handle, options.gil) else {
            record::process(&internal::NO_INTERPRETER, &format!("The sub-interpreter '{name}' could not be created."));
            return Err(InterpreterError::Failed);
        };
        let own_gil = options.gil == Gil::Own;
        let set_up = attach::with(made.handle, |py| {
            set_up::set_up(py, group, options, Some(main)).map_err(|error| traceback::describe(py, &error))
        });
        match set_up {
            Ok(interpreter) => {
                self.own_gils.fetch_or(own_gil, Ordering::Relaxed);
                self.lock().insert(group.to_vec(), Other { interpreter, made });
                Ok(interpreter)
            }
            Err(text) => {
                record::process(
                    &internal::NOT_SET_UP,
                    &format!("The sub-interpreter '{name}' could not be set up:\n{text}"),
                );
                Err(InterpreterError::Failed)
            }
        }
    }

    /// Runs `body` in an interpreter, on a thread that serves no requests and is attached to nothing; leaves no thread
    /// state behind. Returns `None` once the interpreters end.
    pub(crate) fn visit<R>(
        &self,
        interpreter: &'static Interpreter,
        body: impl for<'py> FnOnce(Python<'py>) -> R,
    ) -> Option<R> {
        let ending = self.ending.read().unwrap_or_else(PoisonError::into_inner);
        if *ending {
            return None;
        }
        let result = attach::with(interpreter.handle, body);
        attach::release();
        Some(result)
    }

    /// Ends all sub-interpreters, on a thread that is attached to nothing, when no request runs any more. Returns
    /// whether none is left.
    pub(crate) fn end(&self) -> bool {
        *self.ending.write().unwrap_or_else(PoisonError::into_inner) = true;
        let Some(main) = self.main() else { return true };
        let others = std::mem::take(&mut *self.lock());
        let recorder = &Process::get().recorder;
        let ended = others.into_values().map(|Other { interpreter, made }| {
            let what = format!("the end of the {}", interpreter.label());
            recorder.during(&what, || {
                end(main.handle, made, |py| interpreter.join_threads(py), |py| interpreter.run_exit_functions(py))
            })
        });
        // Every one is ended, whatever became of those before.
        ended.filter(|ended| !ended).count() == 0
    }

    /// The main interpreter and all others.
    pub(crate) fn all(&self) -> Vec<&'static Interpreter> {
        self.main().into_iter().chain(self.others()).collect()
    }

    /// All interpreters but the main one.
    pub(crate) fn others(&self) -> Vec<&'static Interpreter> {
        self.lock().values().map(|other| other.interpreter).collect()
    }

    /// One interpreter for each GIL.
    pub(crate) fn one_per_gil(&self) -> Vec<&'static Interpreter> {
        let mut all = self.all();
        all.retain(|interpreter| interpreter.group.is_empty() || interpreter.own_gil);
        all
    }

    /// Whether threads in different interpreters may run Python code at the same time.
    pub(crate) fn run_in_parallel(&self) -> bool {
        self.own_gils.load(Ordering::Relaxed)
    }
}
