//! Worker threads: leader and followers. One of them, the leader, waits at the poller; with a request in hand it waits for the interpreter's lock,
//! and only when it has that does it let a follower lead. So at most one thread at a time competes for the lock, while the one that has it serves
//! request after request: taking the lock again costs more than many requests.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::Python;
use wsgi_wire::control::Reason;

use crate::connection::{Arrived, Connection};
use crate::ffi::{attach, guard, object};
use crate::gateway::{self, Runner};
use crate::interpreter::Interpreter;
use crate::lifecycle::Stage;
use crate::poller::{Event, Lead, Poller, Ready};
use crate::process::Process;
use crate::request;

/// How long a worker may keep the interpreter's lock from request to request; then application threads get their turn. CPython's own switch
/// interval is as long.
const HOLD: Duration = Duration::from_millis(5);

/// How long the leader, with a request in hand, waits for the interpreter's lock until the worker that serves one request after the other gives it
/// up between two.
const PATIENCE: Duration = Duration::from_micros(500);

/// What a worker is doing, for the monitor.
#[derive(Default)]
pub(crate) struct Activity {
    busy: Mutex<Option<Busy>>,
}

/// A request that is being executed.
#[derive(Clone)]
pub(crate) struct Busy {
    /// Since when.
    pub(crate) since: Instant,
    /// Where.
    pub(crate) interpreter: &'static Interpreter,
    /// Python's number of the thread.
    pub(crate) thread: u64,
    /// Which, for the log.
    pub(crate) script: Vec<u8>,
    /// When it was interrupted, if it was.
    pub(crate) interrupted: Option<Instant>,
}

impl Activity {
    /// The request, if there is one.
    pub(crate) fn busy(&self) -> MutexGuard<'_, Option<Busy>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One worker thread.
pub(crate) struct Worker {
    number: u32,
    poller: &'static Poller,
    ignored: Cell<bool>,
}

impl Worker {
    /// The worker with this number, counted from 1.
    pub(crate) fn new(number: u32, poller: &'static Poller) -> Self {
        Self { number, poller, ignored: Cell::new(false) }
    }

    fn active(&self) {
        if !self.ignored.get() {
            Process::get().watch.active();
        }
    }

    /// Serves until the poller is closed.
    pub(crate) fn run(&self) {
        let mut next = None;
        loop {
            let ready = match next.take() {
                Some(ready) => (ready, None),
                None => {
                    let lead = self.poller.lead();
                    match self.poller.next(true) {
                        Event::Request(ready) => (ready, Some(lead)),
                        Event::Nothing => continue,
                        Event::Closed => break,
                    }
                }
            };
            next = guard::catch("a worker thread", || self.serve(ready)).flatten();
        }
        attach::release();
    }

    /// Serves a request and those that are ready after it, as long as they belong to the same interpreter. One that does not comes back.
    fn serve(&self, ((mut connection, mut arrived), mut lead): (Ready, Option<Lead<'_>>)) -> Option<Ready> {
        if !arrived.route.is_prepared() {
            // Making an interpreter takes its time.
            lead = None;
        }
        let Some(interpreter) = arrived.route.interpreter() else {
            connection.done_with(arrived);
            if connection.refuse(500).is_ok() {
                self.poller.park(connection);
            }
            return None;
        };
        if let Some(lead) = &lead {
            lead.wait_begins();
        }
        attach::with(interpreter.handle, |py| {
            drop(lead);
            let start = Instant::now();
            loop {
                self.execute(py, interpreter, connection, arrived);
                if start.elapsed() > HOLD || self.poller.leader_waits(PATIENCE) {
                    return None;
                }
                match self.poller.next(false) {
                    Event::Request(ready) if interpreter_known(&ready, interpreter) => (connection, arrived) = ready,
                    Event::Request(ready) => return Some(ready),
                    Event::Nothing | Event::Closed => return None,
                }
            }
        })
    }

    fn execute(
        &self,
        py: Python<'_>,
        interpreter: &'static Interpreter,
        connection: Box<Connection>,
        arrived: Arrived,
    ) {
        let process = Process::get();
        process.slot.busy.fetch_add(1, Ordering::Relaxed);
        process.watch.request_began();
        let activity = process.activities.get(self.number as usize - 1);
        if let Some(activity) = activity {
            let busy = Busy {
                since: Instant::now(),
                interpreter,
                thread: object::thread_ident(py),
                script: arrived.route.content().map(|c| c.script.to_vec()).unwrap_or_default(),
                interrupted: None,
            };
            *activity.busy() = Some(busy);
        }
        // A panic costs this request only: its connection is gone, which the Apache child answers with an error.
        let served = guard::catch("a request", || gateway::serve(py, interpreter, self, connection, arrived)).flatten();
        if let Some(left) = request::set_current(None) {
            drop(left.finish(py));
        }
        if let Some(activity) = activity {
            let busy = activity.busy().take();
            if busy.is_some_and(|b| b.interrupted.is_some()) {
                // An interruption that came too late must not hit the next request.
                object::set_async_exception(py, object::thread_ident(py), None);
            }
        }
        self.active();
        process.slot.busy.fetch_sub(1, Ordering::Relaxed);
        let done = process.slot.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if process.watch.request_limit.is_some_and(|limit| done >= limit) {
            process.lifecycle.drain(Reason::MaximumRequests);
        }
        match process.lifecycle.stage() {
            Stage::Serving => {
                if let Some(connection) = served {
                    self.poller.park(connection);
                }
            }
            // The main thread may be waiting for this.
            Stage::Draining | Stage::Stopping => process.lifecycle.wake(),
        }
    }
}

impl Runner for Worker {
    fn number(&self) -> u32 {
        self.number
    }

    fn loaded(&self, ignore_activity: bool) {
        self.ignored.set(ignore_activity);
        Process::get().watch.script_loaded();
        self.active();
    }
}

fn interpreter_known((_, arrived): &Ready, interpreter: &'static Interpreter) -> bool {
    arrived.route.runs_in(interpreter)
}
