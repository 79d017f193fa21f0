//! Embedded mode: an Apache child loads the configured interpreter's library and the engine in it, and calls the engine
//! with its requests instead of sending them to a daemon process ([`wsgi_wire::embedded`]).
//!
//! * [`interpreter`]: which Python, and where its library is.
//! * [`python`]: the library, loaded; the only Python symbols that this module ever sees, and only by name.
//! * [`call`]: one request, as the engine sees it.
//!
//! Nothing happens before a child needs it. Python then begins on a thread of its own, which stays its main thread;
//! requests run on Apache's.
//!
//! Knows how an interpreter is loaded, and the functions of the wire. Must not know daemon processes, nor the engine
//! but by these functions.

#![deny(clippy::multiple_unsafe_ops_per_block)]

pub mod call;
mod engine;
pub mod interpreter;
mod python;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use wsgi_unix::scheduling;
use wsgi_wire::codec::Wire;
use wsgi_wire::settings::Daemon;

use self::engine::Engine;
use self::python::Python;
use crate::httpd::guard;
use crate::httpd::process::{self, BackgroundThread};

/// What a child needs to begin Python.
#[derive(Debug)]
pub struct Plan {
    /// The value of `WSGIPythonHome`.
    pub python_home: Option<Vec<u8>>,
    /// Variables for the interpreter that stand for the WSGIPython… directives.
    pub environment: Vec<(&'static str, Vec<u8>)>,
    /// The directory that holds the Python package beside this module.
    pub package: Option<Vec<u8>>,
    /// The settings that the engine is given.
    pub settings: Daemon,
}

impl Plan {
    /// Whether there is something to load before the first request.
    pub fn is_eager(&self) -> bool {
        !self.settings.scripts.is_empty()
    }
}

/// Why a child has no Python.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmbeddedError {
    /// No interpreter, or none with a library.
    #[error("{0}")]
    Interpreter(Arc<interpreter::InterpreterError>),
    /// The library, or the engine in it, refuses.
    #[error("{0}")]
    Python(Arc<python::PythonError>),
    /// Processes that applications fork would have the connections of this child.
    #[error("a system resource is missing: {0}")]
    System(Arc<std::io::Error>),
    /// The child is told to end before Python has begun.
    #[error("this Apache child ends")]
    Ending,
    /// There is no thread for it.
    #[error("the thread that Python begins on ended early; the error log tells more")]
    Thread,
}

/// The stack, bytes, that Python's main thread has at least: scripts are loaded on it.
const STACK: usize = 16 << 20;

/// How often a thread that waits for Python to begin looks whether the child is to end.
const LOOK: Duration = Duration::from_millis(100);

/// How long Python may take to end.
const END_WAIT: Duration = Duration::from_secs(5);

/// Python in this child.
struct Running {
    engine: Engine,
    stop: Sender<()>,
    ended: Receiver<()>,
    thread: BackgroundThread,
}

/// Python in this child, or why there is none; `None` before the first request that needs it.
static STATE: Mutex<Option<Result<Running, EmbeddedError>>> = Mutex::new(None);

/// The engine of this child; Python begins if it has not yet. What has failed once is not tried again.
///
/// # Errors
/// [`EmbeddedError`]
pub fn engine(plan: &Plan) -> Result<Engine, EmbeddedError> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    match state.get_or_insert_with(|| begin(plan)) {
        Ok(running) => Ok(running.engine),
        Err(error) => Err(error.clone()),
    }
}

fn begin(plan: &Plan) -> Result<Running, EmbeddedError> {
    let found =
        interpreter::find(plan.python_home.as_deref()).map_err(|error| EmbeddedError::Interpreter(Arc::new(error)))?;
    wsgi_unix::fork::begin().map_err(|error| EmbeddedError::System(Arc::new(error)))?;
    let (report, reported) = mpsc::channel();
    let (stop, stopped) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let (settings, package) = (plan.settings.to_bytes(), plan.package.clone());
    let body = move || {
        guard::enter("Python's main thread", || {
            scheduling::be_as_the_process();
            live(&found, &settings, package.as_deref(), &report, &stopped);
            // Nobody may be waiting any more.
            let _ = end.send(());
        });
    };
    let stack = STACK.max(wsgi_unix::stack::size());
    let thread = std::thread::Builder::new().name("wsgi-python".into()).stack_size(stack).spawn(body);
    let thread = thread.map_err(|_| EmbeddedError::Thread)?;
    let engine = loop {
        match reported.recv_timeout(LOOK) {
            Ok(begun) => break begun.map_err(|error| EmbeddedError::Python(Arc::new(error)))?,
            // With the MPM prefork a stop is blocked as long as a child begins. Who waits for a script would hear of it
            // when that is loaded.
            Err(RecvTimeoutError::Timeout) if process::is_told_to_end() => return Err(EmbeddedError::Ending),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(EmbeddedError::Thread),
        }
    };
    Ok(Running { engine, stop, ended, thread: thread.into() })
}

/// The body of Python's main thread: begins Python, reports that, and ends it when it is told to.
fn live(
    found: &interpreter::Found,
    settings: &[u8],
    package: Option<&[u8]>,
    report: &Sender<Result<Engine, python::PythonError>>,
    stopped: &Receiver<()>,
) {
    let began = Python::load(found).and_then(|python| python.begin(found, settings, package));
    match began {
        Ok((python, engine)) => {
            let waits = report.send(Ok(engine)).is_ok();
            // Either the child ends, or nobody is left who could tell.
            let _ = waits.then(|| stopped.recv());
            python.end(engine);
        }
        Err(error) => {
            let _ = report.send(Err(error));
        }
    }
}

/// Ends this child's Python, if it has one, within a bounded time.
pub fn end() {
    let state = match STATE.try_lock() {
        Ok(mut state) => state.take(),
        Err(TryLockError::Poisoned(state)) => state.into_inner().take(),
        // Python is about to begin. With the MPM prefork this is a signal handler, which may have interrupted whoever
        // waits for that.
        Err(TryLockError::WouldBlock) => return,
    };
    if let Some(Ok(Running { stop, ended, thread, .. })) = state {
        let told = thread.is_here() && stop.send(()).is_ok();
        if told && ended.recv_timeout(END_WAIT).is_ok() {
            // It has said that it is done, so this does not wait.
            thread.join();
        }
    }
}
