//! One request in progress, as the Python objects that belong to it share it: `start_response`, `write`, `wsgi.input`,
//! `wsgi.errors`, and the proxies behind `sys.stdout` and `sys.stderr`. When the request is over, what is left of it
//! refuses everything.
//!
//! Knows bytes and the rules of HTTP for them. Must not know the objects of WSGI above it, nor sockets: a [`Transport`]
//! carries what is sent and read.

pub(crate) mod body;
pub(crate) mod output;
pub(crate) mod response;
pub(crate) mod response_head;
pub(crate) mod route;
pub(crate) mod transport;

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use pyo3::sync::MutexExt;
use pyo3::types::PyDict;
use pyo3::{Bound, Python};
use wsgi_unix::{fork, panics};
use wsgi_wire::messages::Topic;
use wsgi_wire::record::{Level, LogRecord, Stream};
use wsgi_wire::report::RequestName;

use crate::ffi::attach;
use crate::ffi::owned::Owned;
use crate::interpreter::Interpreter;
use crate::interpreter::active::Entry;
use crate::log::record;
use crate::metrics::counts::Counts;
use crate::request::body::Body;
use crate::request::response::Response;
use crate::request::route::Route;
use crate::request::transport::{Gone, InputError, Transport};
use wsgi_wire::lines::{Lines, Text};

/// What is known of a request for its whole life.
pub(crate) struct Request {
    /// The interpreter that the request runs in.
    pub(crate) interpreter: &'static Interpreter,
    /// The route, which the request shares with others.
    pub(crate) route: Arc<Route>,
    /// The path that was asked for, for messages: `SCRIPT_NAME` and `PATH_INFO`.
    pub(crate) path: Vec<u8>,
    /// Apache's log id, empty if there is none.
    pub(crate) id: Vec<u8>,
    /// Whether sending content always has to be allowed to block.
    pub(crate) always_blocks: bool,
    /// The dict of `mod_wsgi.request_data()`, made when it is asked for.
    data: Mutex<Option<Owned<PyDict>>>,
    live: Mutex<Option<Live>>,
}

/// The part of a request that changes while it runs. Never run Python code while it is locked: that code may print.
pub(crate) struct Live {
    /// The transport, which carries the response to the client and brings the body.
    pub(crate) transport: Box<dyn Transport>,
    /// How far the response has come.
    pub(crate) response: Response,
    /// The body, as far as it has arrived.
    pub(crate) body: Body,
    /// Text that was written to the log and does not make a whole line yet.
    lines: Lines,
    /// The stream that the buffered text was written to.
    stream: Stream,
    log_level: Level,
    /// The counts of the request so far, for events and metrics.
    pub(crate) counts: Counts,
}

impl Request {
    /// Makes the state of a request that begins.
    pub(crate) fn new(
        interpreter: &'static Interpreter,
        route: &Arc<Route>,
        path: Vec<u8>,
        id: Vec<u8>,
        transport: Box<dyn Transport>,
        response: Response,
        body: Body,
    ) -> Arc<Self> {
        let live = Live {
            transport,
            response,
            body,
            lines: Lines::default(),
            stream: Stream::Errors,
            log_level: route.rules.log_level,
            counts: Counts::default(),
        };
        Arc::new(Self {
            interpreter,
            always_blocks: live.transport.always_blocks(),
            route: Arc::clone(route),
            path,
            id,
            data: Mutex::new(None),
            live: Mutex::new(Some(live)),
        })
    }

    /// Does something with the request. Returns `None` if the request is over, or another process's. Called attached;
    /// gives up the GIL if another thread is at it.
    pub(crate) fn with<R>(&self, py: Python<'_>, step: impl FnOnce(&mut Live) -> R) -> Option<R> {
        if !fork::is_ours() {
            // Whoever had the lock when this process was forked off will never give it back here.
            return None;
        }
        let mut live = self.live.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let result = live.as_mut().map(step);
        let unsent = live.as_mut().map_or_else(Vec::new, |live| live.transport.unsent());
        drop(live);
        if !unsent.is_empty() {
            self.tell_elsewhere(py, unsent);
        }
        result
    }

    /// Writes records that could not be sent because the client has gone, with what is known of the request: the
    /// application may still have things to say.
    #[cold]
    fn tell_elsewhere(&self, py: Python<'_>, records: Vec<LogRecord>) {
        for record in records {
            record::write_attached(py, record, Some(self.interpreter.application_group()), Some(self.name()));
        }
    }

    fn name(&self) -> RequestName {
        RequestName { id: self.id[..].into(), path: self.path[..].into(), script: self.route.script()[..].into() }
    }

    /// Does something that may block, without the GIL.
    pub(crate) fn blocking<R: Send>(&self, py: Python<'_>, step: impl FnOnce(&mut Live) -> R + Send) -> Option<R> {
        if !fork::is_ours() {
            return None;
        }
        let (result, ended) = attach::detach(py, || {
            panics::point("request: detached");
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

    /// Returns the dict with the request's data.
    pub(crate) fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        // Locked only for a moment, with the GIL held, so that nobody ever waits; and never while an object is made,
        // which may collect garbage and run a `__del__` that asks for this very dict.
        let lock = || self.data.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(data) = &*lock() {
            return data.get(py);
        }
        let (made, mut data) = (Owned::new(PyDict::new(py)), lock());
        data.get_or_insert(made).get(py)
    }

    /// Ends the request: its objects refuse everything from now on.
    pub(crate) fn finish(&self, py: Python<'_>) -> Option<Live> {
        // It may hold, by way of the environ, this very request.
        let data = self.data.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(data);
        let mut live = self.live.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        let mut ended = live.take();
        drop(live);
        let unsent = ended.as_mut().map_or_else(Vec::new, |live| live.transport.unsent());
        self.tell_elsewhere(py, unsent);
        ended
    }

    /// Whether records of this level are written.
    pub(crate) fn logs(&self, level: Level) -> bool {
        level <= self.route.rules.log_level
    }

    /// Writes a record of our own with the request's context, now; see [`LogRecord::ours`].
    pub(crate) fn log(&self, py: Python<'_>, topic: impl Into<Topic>, text: &str) {
        self.record(py, LogRecord::ours(topic, record::writer(), text));
    }

    /// Writes a record with the request's context, now.
    pub(crate) fn record(&self, py: Python<'_>, record: LogRecord) {
        let mut record = Some(record);
        self.with(py, |live| {
            live.finalize_log();
            if let Some(record) = record.take() {
                live.record(record);
            }
            live.transport.flush(false)
        });
        if let Some(record) = record {
            record::write_attached(py, record, Some(self.interpreter.application_group()), Some(self.name()));
        }
    }
}

impl Entry for Request {
    fn id(&self) -> &[u8] {
        &self.id
    }

    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        self.data(py)
    }
}

impl Live {
    fn record(&mut self, record: LogRecord) {
        if record.level <= self.log_level {
            record.into_pieces().into_iter().for_each(|piece| self.transport.log(piece));
        }
    }

    /// Takes text that was written to a stream: complete lines become records. Text of several streams can make up one
    /// line.
    pub(crate) fn write_log(&mut self, stream: Stream, text: &[u8]) {
        if stream != self.stream {
            self.finalize_log();
            self.stream = stream;
        }
        self.with_lines(|lines, record| lines.write(text, true, record));
    }

    /// Makes a record of an incomplete line, if there is one.
    pub(crate) fn flush_log(&mut self) {
        self.with_lines(Lines::flush);
    }

    /// Makes records of what could still be continued, because the application has gone on to something else.
    pub(crate) fn finalize_log(&mut self) {
        self.with_lines(Lines::flush_traceback);
    }

    /// Makes records of all that is left.
    pub(crate) fn end_log(&mut self) {
        self.with_lines(Lines::end);
    }

    fn with_lines(&mut self, step: impl FnOnce(&mut Lines, &mut dyn FnMut(Text<'_>))) {
        let (mut lines, stream) = (std::mem::take(&mut self.lines), self.stream);
        step(&mut lines, &mut |text| self.record(text.record(stream, record::writer())));
        self.lines = lines;
    }

    /// Asks for more of the body. Blocks.
    ///
    /// # Errors
    /// If the body broke off, now or before.
    pub(crate) fn pull(&mut self, max: u32) -> Result<(), InputError> {
        self.finalize_log();
        let start = Instant::now();
        let more = self.transport.pull(max, self.body.place());
        self.counts.input_time += start.elapsed();
        self.body.failed = more.is_err();
        self.body.arrived(more?);
        Ok(())
    }

    /// Sends content, and what is queued before it. Blocks.
    ///
    /// # Errors
    /// [`Gone`].
    pub(crate) fn pass(&mut self, content: &[u8]) -> Result<(), Gone> {
        let start = Instant::now();
        let outcome = self.transport.pass(content);
        self.counts.output_time += start.elapsed();
        outcome
    }

    /// Sends what is queued and may block for it.
    ///
    /// # Errors
    /// [`Gone`].
    pub(crate) fn flush(&mut self, wait: bool) -> Result<bool, Gone> {
        let start = Instant::now();
        let outcome = self.transport.flush(wait);
        self.counts.output_time += start.elapsed();
        outcome
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Request>>> = const { RefCell::new(None) };
}

/// The reason why something that could be done with a request before cannot be done now, for messages that begin with
/// "… called".
pub(crate) fn no_more() -> &'static str {
    match fork::is_ours() {
        true => "after request completed",
        false => "in a process that the application has forked",
    }
}

/// Finds the request that the calling code is part of, where threads have none of their own.
type Finder = fn(Python<'_>) -> Option<Arc<Request>>;

static FINDER: OnceLock<Finder> = OnceLock::new();

/// Says how the request is found that the calling code is part of, where threads have none of their own.
pub(crate) fn set_finder(finder: Finder) {
    // Once: there is one event loop.
    let _ = FINDER.set(finder);
}

/// The request that the calling thread serves, or, with an event loop, that the calling code is part of.
pub(crate) fn current(py: Python<'_>) -> Option<Arc<Request>> {
    CURRENT.with_borrow(Clone::clone).or_else(|| FINDER.get()?(py))
}

/// Sets the request that the calling thread serves. Returns the one before.
pub(crate) fn set_current(request: Option<Arc<Request>>) -> Option<Arc<Request>> {
    CURRENT.replace(request)
}
