//! What the main thread looks at once a second: requests that are stuck, a lock that is not given back, a process that is idle or old.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wsgi_wire::control::Reason;
use wsgi_wire::record::Level;

use crate::errand::{Errand, Errands};
use crate::failure;
use crate::ffi::attach;
use crate::interpreter::Interpreter;
use crate::policy::{Action, Facts, Limits, Running, judge};
use crate::process::Process;
use crate::record;

/// How often the monitor looks.
pub(crate) const TICK: Duration = Duration::from_millis(500);

/// What workers leave for the monitor, in milliseconds since the process began; `NEVER` until it happens.
pub(crate) struct Watch {
    began: Instant,
    first_request: AtomicU64,
    last_activity: AtomicU64,
    lock_free: AtomicU64,
    loaded: AtomicBool,
    /// After how many requests the process is replaced.
    pub(crate) request_limit: Option<u64>,
}

const NEVER: u64 = u64::MAX;

impl Watch {
    /// Nothing has happened yet.
    pub(crate) fn new(request_limit: Option<u64>) -> Self {
        let never = || AtomicU64::new(NEVER);
        Self {
            began: Instant::now(),
            first_request: never(),
            last_activity: never(),
            lock_free: AtomicU64::new(0),
            loaded: AtomicBool::new(false),
            request_limit,
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn at(&self, moment: &AtomicU64) -> Option<Instant> {
        let moment = moment.load(Ordering::Relaxed);
        (moment != NEVER).then(|| self.began + Duration::from_millis(moment))
    }

    /// A request is taken up.
    pub(crate) fn request_began(&self) {
        if self.first_request.load(Ordering::Relaxed) == NEVER {
            self.first_request.store(self.now(), Ordering::Relaxed);
        }
    }

    /// A script has been loaded.
    pub(crate) fn script_loaded(&self) {
        if !self.loaded.load(Ordering::Relaxed) {
            self.loaded.store(true, Ordering::Relaxed);
        }
    }

    /// Something happens that keeps the process from being idle.
    pub(crate) fn active(&self) {
        self.last_activity.store(self.now(), Ordering::Relaxed);
    }

    /// The interpreter's lock could be taken.
    fn lock_is_free(&self) {
        self.lock_free.store(self.now(), Ordering::Relaxed);
    }
}

/// Takes and gives back the interpreter's lock for ever, so that the monitor can see whether that is possible. Runs on a thread of its own.
pub(crate) fn probe(interpreter: &'static Interpreter) {
    loop {
        attach::with(interpreter.handle, |_py| Process::get().watch.lock_is_free());
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The monitor's view of the process.
pub(crate) struct Monitor {
    /// What it watches for.
    pub(crate) limits: Limits,
    gave_up: bool,
}

impl Monitor {
    /// A monitor for these limits.
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, gave_up: false }
    }

    /// The requests that are being executed.
    fn running(process: &Process) -> Vec<Running> {
        let busy = |(worker, activity): (usize, &crate::worker::Activity)| {
            activity.busy().as_ref().map(|b| Running { worker, since: b.since, interrupted: b.interrupted })
        };
        process.activities.iter().enumerate().filter_map(busy).collect()
    }

    /// Whether a request runs that is worth waiting for.
    pub(crate) fn is_busy(&self, process: &Process) -> bool {
        let now = Instant::now();
        Self::running(process).iter().any(|running| !self.limits.is_stale(running, now))
    }

    /// Looks around and does what is due.
    pub(crate) fn look(&mut self, process: &Process, errands: &Errands) {
        let (running, watch) = (Self::running(process), &process.watch);
        let loaded = watch.loaded.load(Ordering::Relaxed);
        let facts = Facts {
            began: watch.began,
            running: &running,
            unloaded_since: watch.at(&watch.first_request).filter(|_| !loaded),
            lock_free: watch.at(&watch.lock_free).unwrap_or(watch.began),
            last_activity: watch.at(&watch.last_activity),
        };
        match judge(&self.limits, &facts, Instant::now()) {
            None => {}
            Some(Action::Interrupt(worker)) => {
                if let Some(busy) = process.activities.get(worker).and_then(|a| {
                    a.busy().as_mut().map(|busy| {
                        busy.interrupted = Some(Instant::now());
                        busy.clone()
                    })
                }) {
                    errands.send(Errand::Stacks(vec![busy.clone()]));
                    errands.send(Errand::Interrupt(worker, busy));
                }
            }
            Some(Action::GiveUp) if self.gave_up => {}
            Some(Action::GiveUp) => {
                self.gave_up = true;
                errands.send(Errand::Stacks(process.activities.iter().filter_map(|a| a.busy().clone()).collect()));
                process.lifecycle.drain(Reason::RequestTimeout);
            }
            Some(Action::Drain(reason)) => process.lifecycle.drain(reason),
            Some(Action::Stop(reason)) => process.lifecycle.stop(reason),
        }
    }
}

/// Logs where requests are.
pub(crate) fn log_stacks(requests: &[crate::worker::Busy]) {
    for busy in requests {
        let what = format!(
            "A request for '{}' has run for {:.1} s.",
            String::from_utf8_lossy(busy.route.script()),
            busy.since.elapsed().as_secs_f64()
        );
        let text = attach::with(busy.interpreter.handle, |py| {
            use pyo3::types::{PyAnyMethods, PyDict, PyDictMethods};
            let threads = PyDict::new(py);
            let stacks = threads.set_item(busy.thread, &what).and_then(|()| {
                busy.interpreter.prelude.bind(py).call_method1("stacks", (threads,))?.extract::<String>()
            });
            stacks.unwrap_or_else(|error| format!("{what}\n{}", failure::describe(py, &error)))
        });
        record::process(Level::Info, &text);
    }
}
