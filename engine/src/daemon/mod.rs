//! The life of a daemon process, from its settings to its end.
//!
//! Knows the supervisor, signals, limits and the stages of the process. Must not know how a request is served: of the
//! workers it sees only what they are doing (`workers::activity`).

pub(crate) mod background;
pub(crate) mod control;
pub(crate) mod last_words;
pub(crate) mod main_loop;
pub(crate) mod monitor;
mod serving;
mod shutdown;

use std::os::fd::OwnedFd;
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use pyo3::exceptions::PySystemExit;
use pyo3::{PyErr, PyResult, Python};
use wsgi_unix::fork::{self, Unshared};
use wsgi_unix::signals::SignalSet;
use wsgi_unix::{exit_now, panics};
use wsgi_wire::control::{FAILED_AT_START, Reason};
use wsgi_wire::descriptors::daemon::{CONTROL, LISTENER, PAGES, RECORDER, RECORDS, SCOREBOARD};
use wsgi_wire::interface::Interface;
use wsgi_wire::messages::{Topic, processes};
use wsgi_wire::settings::Daemon;

use crate::asgi::server::Server;
use crate::asgi::{self, Loop};
use crate::daemon::background::Background;
use crate::daemon::control::{Control, ControlError};
use crate::daemon::main_loop::MainLoop;
use crate::daemon::monitor::Monitor;
use crate::daemon::serving::Serving;
use crate::ffi::scoreboard::Scoreboard;
use crate::ffi::{attach, guard, process as ffi, shared_scoreboard};
use crate::interpreters::Interpreters;
use crate::life::{self, preload, reporter};
use crate::log::record;
use crate::log::supervisor::Socket;
use crate::log::traceback;
use crate::process::Process;
use crate::process::limits::ProcessLimits;
use crate::process::recorder::Recorder;
use crate::process::thread;
use crate::workers::poller::Poller;
use crate::workers::{Worker, activity};

/// Why the process could not begin to serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(
        "descriptor {0} is not what the supervisor should have opened there: {1}; a daemon process is started by mod_wsgi-supervisor only"
    )]
    Descriptor(i32, std::io::Error),
    #[error("no settings were received: {0}")]
    Settings(#[from] ControlError),
    #[error("its page could not be mapped: {0}")]
    Page(std::io::Error),
    #[error("Apache's scoreboard could not be mapped: {0}")]
    Scoreboard(std::io::Error),
    #[error("the flight recorder could not be mapped: {0}")]
    Recorder(std::io::Error),
    #[error("the main interpreter could not be set up:\n{0}")]
    Interpreter(String),
    #[error("the event loop cannot be made:\n{0}")]
    Loop(String),
    #[error("a system resource is missing: {0}")]
    System(#[from] std::io::Error),
}

/// Makes records, those of panics too, go to the supervisor.
///
/// # Errors
/// [`StartError::Descriptor`]; then they go nowhere.
pub(crate) fn begin_log() -> Result<(), StartError> {
    panics::install(record::panicked);
    record::set_destination(Socket::from(inherited(RECORDS)?));
    Ok(())
}

/// Serves until the process should end. Called on Python's main thread. `log`: what has become of [`begin_log`].
///
/// # Errors
/// `SystemExit` if the process could not begin to serve; the log says why.
pub(crate) fn run(py: Python<'_>, log: Result<(), StartError>) -> PyResult<()> {
    log.and_then(|()| serve(py)).map_err(|error| {
        record::process(&processes::PROCESS_CANNOT_START, &format!("A daemon process could not start: {error}"));
        PyErr::new::<PySystemExit, _>(FAILED_AT_START)
    })
}

fn inherited(fd: i32) -> Result<OwnedFd, StartError> {
    ffi::inherited(fd).map_err(|error| StartError::Descriptor(fd, error))
}

fn serve(py: Python<'_>) -> Result<(), StartError> {
    fork::begin()?;
    let (control, listener) = (inherited(CONTROL)?.into(), inherited(LISTENER)?.into());
    let (pages, recorder) = (inherited(PAGES)?, inherited(RECORDER)?);
    let mut control = Control::new(control);
    let settings = attach::detach(py, || control.settings())?;
    record::limit(settings.log_level);
    match &settings.display_name {
        Some(title) => ffi::set_title(title),
        None => ffi::set_title(&[b"mod_wsgi ", settings.group.as_ref()].concat()),
    }
    let page = ffi::map_page(pages, settings.slot as usize).map_err(StartError::Page)?;
    let scoreboard = match settings.server_metrics {
        true => {
            let asker = control.asker()?;
            shared_scoreboard::map(inherited(SCOREBOARD)?, move || asker.ask()).map_err(StartError::Scoreboard)?
        }
        false => Scoreboard::Forbidden,
    };
    let recorder = Recorder::open(recorder, settings.threads).map_err(StartError::Recorder)?;
    if let Err(error) = recorder.arm(py) {
        let text = traceback::describe(py, &error);
        record::process(
            &processes::NO_STACKS,
            &format!("If this process ends otherwise than it should, its stacks cannot be had: {text}"),
        );
    }
    let secret = settings.secret;
    let limits = ProcessLimits::new(&settings, secret);
    let signals = if settings.threads > 0 { Some(catch_signals()?) } else { None };
    // The supervisor starts a daemon with all of them blocked, so that none ends it before it can react to them.
    SignalSet::none().block();
    let process = Process::begin(life::begin(settings, page, scoreboard, recorder, secret)?);
    let settings = &process.settings;

    let failed = |error: PyErr| StartError::Interpreter(traceback::describe(py, &error));
    let main = Interpreters::get().set_up_main(py).map_err(failed)?;
    let no_loop = |error: PyErr| StartError::Loop(traceback::describe(py, &error));
    let make_loop = || Loop::make(py, main, settings).map_err(no_loop);
    // What scripts make while they are loaded may belong to it.
    let early = if settings.interface == Interface::Asgi { Some(make_loop()?) } else { None };
    let mut failures = preload::preload(py, process);
    let Some(signals) = signals else {
        // A service process is its scripts; it ends when they do.
        return Ok(());
    };
    let own = rustix::process::geteuid().as_raw();
    let users = [0, own].into_iter().chain(settings.children).collect();
    let scripts: Vec<_> = preload::scripts(process).collect();
    let interface = asgi::interface(py, main, &scripts);
    let patience = timeout(settings.socket_timeout);
    let (serving, threads) = if interface == Interface::Asgi {
        let event_loop = early.map_or_else(make_loop, Ok)?;
        failures.extend(asgi::start(py, &event_loop, &scripts));
        let server = Server::make(listener, secret, users, patience, limits.request)?;
        asgi::open(py, server, event_loop).map_err(no_loop)?;
        (Serving::Loop(server), 0)
    } else {
        let poller = Poller::new(listener, secret, users, patience)?;
        (Serving::Workers(Box::leak(Box::new(poller))), settings.threads)
    };
    activity::prepare(threads);
    let background = Background::start(settings.stack_size)?;
    let probe = limits.deadlock.map(|deadlock| start_probe(process, deadlock)).transpose()?;
    let workers = match serving {
        Serving::Workers(poller) => start_workers(settings, poller)?,
        Serving::Loop(_) => Vec::new(),
    };
    reporter::start(py, process);
    control.ready(failures, interface)?;
    let name = String::from_utf8_lossy(&settings.group);
    record::process(Topic::INFO, &format!("Daemon process '{name}' is ready."));

    let watch_over = move || {
        let monitor = Monitor::new(limits, probe);
        let reason = MainLoop::new(process, control, signals, serving, background, monitor).run();
        guard::catch("the end of the process", || shutdown::finish(process, serving, workers, reason)).unwrap_or(false)
    };
    let clean = match serving {
        Serving::Workers(_) => attach::detach(py, watch_over),
        Serving::Loop(server) => {
            let main_loop = thread::builder("main", settings.stack_size).spawn(watch_over)?;
            if let Err(error) = asgi::run(py, server) {
                let text = traceback::describe(py, &error);
                record::process(&processes::LOOP_FAILED, &format!("The event loop has ended: {text}"));
                process.lifecycle.stop(Reason::ShutdownSignal);
            }
            attach::detach(py, || main_loop.join()).unwrap_or(false)
        }
    };
    if !settings.destroy_interpreter {
        exit_now(0);
    }
    if !clean {
        // CPython would abort the process while a sub-interpreter is left.
        main.join_threads(py);
        main.run_exit_functions(py);
        exit_now(0);
    }
    Ok(())
}

fn timeout(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

fn catch_signals() -> std::io::Result<Unshared> {
    use rustix::pipe::{PipeFlags, pipe_with};
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let signals = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGXCPU, libc::SIGHUP, libc::SIGUSR2];
    ffi::catch_signals(&signals, write.into());
    Ok(read.into())
}

fn start_probe(process: &'static Process, deadlock: Duration) -> std::io::Result<Thread> {
    let every = (deadlock / 4).min(Duration::from_secs(1));
    let builder = thread::builder("probe", process.settings.stack_size);
    let probe = builder.spawn(move || monitor::probe(process, every))?;
    Ok(probe.thread().clone())
}

fn start_workers(settings: &Daemon, poller: &'static Poller) -> std::io::Result<Vec<JoinHandle<()>>> {
    let start = |number: u32| {
        thread::builder(&number.to_string(), settings.stack_size).spawn(move || Worker::new(number, poller).run())
    };
    (1..=settings.threads).map(start).collect()
}
