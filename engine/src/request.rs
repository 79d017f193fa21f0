//! One request in progress, as the Python objects that belong to it share it: `start_response`, `write`, `wsgi.input`, `wsgi.errors`, and the
//! proxies behind `sys.stdout` and `sys.stderr`. When the request is over, what is left of it refuses everything.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::sync::MutexExt;
use pyo3::types::PyDict;
use pyo3::{Bound, Python};
use wsgi_wire::record::Level;

use crate::body::Body;
use crate::exchange::{Exchange, Gone, InputError};
use crate::ffi::attach;
use crate::ffi::owned::Owned;
use crate::interpreter::Interpreter;
use crate::response::Response;
use crate::route::Route;

/// What is known of a request for its whole life.
pub(crate) struct Request {
    /// Where it runs.
    pub(crate) interpreter: &'static Interpreter,
    /// What it shares with others.
    pub(crate) route: Arc<Route>,
    /// Apache's log id, empty if there is none.
    pub(crate) id: Vec<u8>,
    /// `mod_wsgi.request_data()`, made when it is asked for.
    data: Mutex<Option<Owned<PyDict>>>,
    live: Mutex<Option<Live>>,
}

/// What can change while it runs. Never run Python code while it is locked: that code may print.
pub(crate) struct Live {
    /// Who waits for the answer.
    pub(crate) exchange: Box<dyn Exchange>,
    /// How far the answer is.
    pub(crate) response: Response,
    /// What has been read.
    pub(crate) body: Body,
    /// The line that is being written to the log.
    line: Vec<u8>,
    route: Arc<Route>,
    /// For events and metrics.
    pub(crate) counts: Counts,
}

/// What a request moved.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Calls that read from `wsgi.input`.
    pub(crate) input_reads: u64,
    /// Bytes they gave.
    pub(crate) input_length: u64,
    /// How long they waited.
    pub(crate) input_time: Duration,
    /// Pieces of content.
    pub(crate) output_writes: u64,
    /// Their bytes.
    pub(crate) output_length: u64,
    /// How long sending took.
    pub(crate) output_time: Duration,
    /// How long the interpreter's lock was waited for.
    pub(crate) gil_time: Duration,
    /// How often.
    pub(crate) gil_waits: u64,
}

impl Request {
    /// A request that begins.
    pub(crate) fn new(
        interpreter: &'static Interpreter,
        route: &Arc<Route>,
        id: Vec<u8>,
        exchange: Box<dyn Exchange>,
        response: Response,
        body: Body,
    ) -> Arc<Self> {
        let line = Vec::new();
        let live = Live { exchange, response, body, line, route: Arc::clone(route), counts: Counts::default() };
        Arc::new(Self {
            interpreter,
            route: Arc::clone(route),
            id,
            data: Mutex::new(None),
            live: Mutex::new(Some(live)),
        })
    }

    /// Does something with the request; `None` if it is over. Attached; gives up the interpreter's lock if another thread is at it.
    pub(crate) fn with<R>(&self, py: Python<'_>, step: impl FnOnce(&mut Live) -> R) -> Option<R> {
        let mut live = self.live.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        live.as_mut().map(step)
    }

    /// Does something that may block: the interpreter's lock is given up for it.
    pub(crate) fn blocking<R: Send>(&self, py: Python<'_>, step: impl FnOnce(&mut Live) -> R + Send) -> Option<R> {
        let (result, ended) = attach::detach(py, || {
            let result = self.lock().as_mut().map(step);
            (result, Instant::now())
        });
        let waited = ended.elapsed();
        self.with(py, |live| {
            live.counts.gil_time += waited;
            live.counts.gil_waits += 1;
        });
        result
    }

    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        // What a panic left behind is still a connection that can be ended properly.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The dict that goes with it.
    pub(crate) fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        // Locked only for a moment, with the interpreter's lock held, so that nobody ever waits.
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.get_or_insert_with(|| Owned::new(PyDict::new(py))).get(py)
    }

    /// Ends the request: its objects refuse from now on.
    pub(crate) fn finish(&self, py: Python<'_>) -> Option<Live> {
        // It may hold, by way of the environ, this very request.
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(data);
        let mut live = self.live.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        live.take()
    }

    /// Writes records with the request's context, now.
    pub(crate) fn log(&self, py: Python<'_>, level: Level, text: &str) {
        let outcome = self.with(py, |live| {
            live.record(level, text.as_bytes());
            live.exchange.flush(false)
        });
        if outcome.is_none() {
            crate::record::process(level, text);
        }
    }
}

impl Live {
    /// A record with the script's name in front.
    pub(crate) fn record(&mut self, level: Level, text: &[u8]) {
        self.exchange.log(level, &[b"[script ", self.route.script(), b"] ", text].concat());
    }

    /// Text for the log: every line of it that is complete becomes a record.
    pub(crate) fn write_log(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            self.end_line();
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > wsgi_wire::limits::LOG_RECORD {
            self.end_line();
        }
    }

    /// Makes a record of a line that is not complete, if there is one.
    pub(crate) fn flush_log(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        self.record(Level::Error, &line);
        line.clear();
        self.line = line;
    }

    /// Asks for more of the body. Blocks.
    ///
    /// # Errors
    /// If the body broke off, now or before.
    pub(crate) fn pull(&mut self, most: u32) -> Result<(), InputError> {
        let start = Instant::now();
        let piece = self.exchange.pull(most);
        self.counts.input_time += start.elapsed();
        self.body.failed = piece.is_err();
        self.body.arrived(piece?);
        Ok(())
    }

    /// Sends what is queued and may block for it.
    ///
    /// # Errors
    /// [`Gone`].
    pub(crate) fn flush(&mut self, wait: bool) -> Result<bool, Gone> {
        let start = Instant::now();
        let outcome = self.exchange.flush(wait);
        self.counts.output_time += start.elapsed();
        outcome
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Request>>> = const { RefCell::new(None) };
}

/// The request that the calling thread serves.
pub(crate) fn current() -> Option<Arc<Request>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Says which request the calling thread serves; gives the one before.
pub(crate) fn set_current(request: Option<Arc<Request>>) -> Option<Arc<Request>> {
    CURRENT.replace(request)
}
