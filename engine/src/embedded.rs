//! Embedded mode: the engine lives in an Apache child, whose threads call it with their requests
//! ([`wsgi_wire::embedded`]).

use std::any::Any;
use std::cell::OnceCell;
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::types::{PyDict, PyDictMethods};
use pyo3::{Bound, PyErr, PyResult, Python};
use wsgi_unix::descriptor::OwnedFd;
use wsgi_unix::fork;
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::frame::Kind;
use wsgi_wire::question::Answer;
use wsgi_wire::record::LogRecord;
use wsgi_wire::request::{self as wire, BodyError};
use wsgi_wire::response::{End, Fail, File, put_head, put_headers};
use wsgi_wire::settings::Daemon;
use wsgi_wire::table::Page;

use crate::ffi::attach;
use crate::ffi::host::{Host, RequestRec};
use crate::ffi::scoreboard::Scoreboard;
use crate::gateway;
use crate::gateway::runner::Runner;
use crate::interpreters::Interpreters;
use crate::life::{self, ending, preload, reporter};
use crate::log::record;
use crate::log::traceback;
use crate::moments::Moments;
use crate::process::Process;
use crate::process::forked;
use crate::process::recorder::Recorder;
use crate::request::response_head::Head;
use crate::request::route;
use crate::request::transport::{Gone, InputError, Transport};

/// Why Python cannot serve requests in an Apache child.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("its settings are not those of this build ({0}); install the Apache module and the engine of one version")]
    Settings(#[from] DecodeError),
    #[error("a system resource is missing: {0}")]
    System(#[from] std::io::Error),
    #[error("the main interpreter could not be set up:\n{0}")]
    Interpreter(String),
}

/// Prepares the process that Python has just begun in.
///
/// # Errors
/// [`BeginError`]; then requests cannot be served.
pub(crate) fn begin(py: Python<'_>, settings: &[u8], scoreboard: Scoreboard) -> Result<(), BeginError> {
    let settings = Daemon::from_bytes(settings)?;
    record::limit(settings.log_level);
    fork::begin_as_guest()?;
    // No other process looks at an Apache child's counters.
    let page: &'static Page = Box::leak(Box::default());
    let scoreboard = if settings.server_metrics { scoreboard } else { Scoreboard::Forbidden };
    let process = Process::begin(life::begin(settings, page, scoreboard, Recorder::default(), 0)?);
    let failed = |error: PyErr| BeginError::Interpreter(traceback::describe(py, &error));
    Interpreters::get().set_up_main(py).map_err(failed)?;
    preload::preload(py, process);
    reporter::start(py, process);
    Ok(())
}

/// Ends Python's work in an Apache child: applications hear of it, sub-interpreters end. Called on the thread that
/// Python began on. Returns whether Python can be finalised: sub-interpreters in which Apache's threads have been
/// cannot be ended, but their exit functions have run.
pub(crate) fn end(py: Python<'_>) -> bool {
    let process = Process::get();
    let destroy = process.settings.destroy_interpreter;
    let clean = attach::detach(py, || {
        reporter::stopping("");
        ending::publish_process_stopping(process, "");
        reporter::stopped(true);
        destroy && ending::end_interpreters(process)
    });
    if destroy && !clean {
        if let Some(main) = Interpreters::get().main() {
            main.join_threads(py);
            main.run_exit_functions(py);
        }
    }
    clean
}

/// Answers one request on this thread. Returns `false` if there is no answer at all.
pub(crate) fn serve(host: Host, route: &[u8], request: &[u8]) -> bool {
    let (Ok(route), Ok(request)) = (route::in_full(route), wire::Request::decode(request)) else { return false };
    let interpreter = match Interpreters::get().of(&route) {
        Ok(interpreter) => interpreter,
        Err(none) => return host.send_frame(Kind::Fail, &Fail { status: none.status() }.to_bytes(), None),
    };
    let moments = Moments::new(&request.facts);
    THREAD.with(|thread| {
        let number = *thread.get_or_init(|| THREADS.fetch_add(1, Ordering::Relaxed) + 1);
        let thread_of_apache = ApacheThread { number, request_rec: host.request_rec() };
        let served = attach::with(interpreter.handle, |py| {
            let transport =
                Box::new(HostTransport { host, queued: Vec::with_capacity(FRAMES), unflushed: false, gone: false });
            let served = gateway::execute(py, interpreter, &thread_of_apache, &route, request, moments, transport);
            forked::must_not_come_back();
            served
        });
        // What the application has left goes to Apache when others may run Python already: a client can be slow.
        let call = served.and_then(|(_, transport)| transport.into_any().downcast::<HostTransport>().ok());
        let Some(mut call) = call else { return false };
        // That the client is gone Apache knows by itself.
        let _ = call.hand_over();
        true
    })
}

/// How many frames a small response has: head, content, end.
const FRAMES: usize = 3;

static THREADS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The number of this thread, given at its first request.
    static THREAD: OnceCell<u32> = const { OnceCell::new() };
}

/// The runner of a request in embedded mode: one of Apache's threads.
struct ApacheThread {
    number: u32,
    request_rec: Option<RequestRec>,
}

impl Runner for ApacheThread {
    fn number(&self) -> u32 {
        self.number
    }

    fn furnish(&self, environ: &Bound<'_, PyDict>) -> PyResult<()> {
        match &self.request_rec {
            Some(request_rec) => environ.set_item("apache.request_rec", request_rec.capsule(environ.py())?),
            None => Ok(()),
        }
    }

    fn loaded(&self, _ignore_activity: bool) {}
}

/// One frame that has not been handed to Apache yet.
struct Queued {
    kind: Kind,
    payload: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

/// The transport of a request in embedded mode. Frames are queued, and handed to Apache when the transport may block,
/// because Apache waits for slow clients.
struct HostTransport {
    host: Host,
    queued: Vec<Queued>,
    /// Whether Apache has been handed content that it may still keep back.
    unflushed: bool,
    gone: bool,
}

impl HostTransport {
    fn queue(&mut self, kind: Kind, payload: Vec<u8>, descriptor: Option<OwnedFd>) {
        if !self.gone {
            self.queued.push(Queued { kind, payload, descriptor });
        }
    }

    fn hand_over(&mut self) -> Result<(), Gone> {
        if !fork::is_ours() {
            return Err(Gone);
        }
        for Queued { kind, payload, descriptor } in self.queued.drain(..) {
            // Records do not depend on the client.
            if (!self.gone || kind == Kind::Log) && !self.host.send_frame(kind, &payload, descriptor) {
                self.gone = true;
            }
        }
        if self.gone { Err(Gone) } else { Ok(()) }
    }
}

impl Transport for HostTransport {
    fn early_hints(&mut self, headers: &[(Vec<u8>, Vec<u8>)]) {
        let mut payload = Vec::with_capacity(128);
        put_headers(&mut payload, headers.iter().map(|(name, value)| (&**name, &**value)));
        self.queue(Kind::EarlyHints, payload, None);
    }

    fn head(&mut self, head: &Head) {
        let mut payload = Vec::with_capacity(256);
        let headers = head.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        put_head(&mut payload, head.status, &head.reason, headers);
        self.queue(Kind::Head, payload, None);
    }

    fn data(&mut self, content: &[u8]) {
        self.queue(Kind::Data, content.to_vec(), None);
    }

    fn pass(&mut self, content: &[u8]) -> Result<(), Gone> {
        self.hand_over()?;
        if !content.is_empty() {
            self.gone = !self.host.send_frame(Kind::Data, content, None);
            self.unflushed = true;
        }
        if self.gone { Err(Gone) } else { Ok(()) }
    }

    fn always_blocks(&self) -> bool {
        true
    }

    fn file(&mut self, file: OwnedFd, piece: File) {
        self.queue(Kind::File, piece.to_bytes(), Some(file));
    }

    fn log(&mut self, record: LogRecord) {
        self.queued.push(Queued { kind: Kind::Log, payload: record.to_bytes(), descriptor: None });
    }

    fn end(&mut self, end: End) {
        self.queue(Kind::End, end.to_bytes(), None);
    }

    fn fail(&mut self, status: u16) {
        self.queue(Kind::Fail, Fail { status }.to_bytes(), None);
    }

    fn answer(&mut self, answer: &Answer) {
        self.queue(Kind::Answer, answer.to_bytes(), None);
    }

    fn flush(&mut self, wait: bool) -> Result<bool, Gone> {
        if !wait && (self.unflushed || self.queued.iter().any(|queued| queued.kind != Kind::Log)) {
            return Ok(false);
        }
        // The end sends everything, and what is no part of the response does not send its head.
        let pending = |queued: &Queued| matches!(queued.kind, Kind::Head | Kind::Data | Kind::File);
        let flush = wait && self.queued.last().map_or(self.unflushed, pending);
        self.hand_over()?;
        self.unflushed = false;
        if flush && !self.host.flush() {
            self.gone = true;
            return Err(Gone);
        }
        Ok(true)
    }

    fn leave(&mut self) -> Result<bool, Gone> {
        Ok(true)
    }

    fn pull(&mut self, max: u32, into: &mut Vec<u8>) -> Result<bool, InputError> {
        // What the client has to see before it sends more goes out first.
        self.flush(true).map_err(|Gone| InputError::Gone)?;
        match self.host.pull(max) {
            Some((Kind::Body, data)) => {
                into.extend_from_slice(data);
                Ok(true)
            }
            Some((Kind::BodyEnd, _)) => Ok(false),
            Some((Kind::BodyError, why)) => {
                Err(InputError::Client(BodyError::from_bytes(why).unwrap_or(BodyError::Malformed)))
            }
            _ => Err(InputError::Gone),
        }
    }

    fn ssl_variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        self.host.ssl_variable(name).map(<[u8]>::to_vec)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
