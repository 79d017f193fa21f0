//! The worker threads of a daemon process. One of them waits at the poller ([`leader`]); a worker that gets a request
//! serves it, and then looks for the next one before it gives up the GIL, because taking it again costs more than many
//! requests.
//!
//! Knows connections, their frames and which interpreter a request belongs to. Must not know what a request means,
//! which is the gateway's business, nor when the process ends.

pub(crate) mod activity;
pub(crate) mod connection;
pub(crate) mod intake;
pub(crate) mod leader;
pub(crate) mod listener;
pub(crate) mod outgoing;
pub(crate) mod poller;
pub(crate) mod response_right;
pub(crate) mod serve;

use std::cell::{Cell, OnceCell};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pyo3::Python;
use wsgi_unix::{clock, panics};
use wsgi_wire::control::Reason;
use wsgi_wire::recorder::{Entry, Task};

use crate::ffi::attach::State;
use crate::ffi::{attach, guard, object};
use crate::gateway::runner::Runner;
use crate::interpreter::Interpreter;
use crate::interpreters::Interpreters;
use crate::process::Process;
use crate::process::forked;
use crate::process::lifecycle::Stage;
use crate::process::limits::Phase;
use crate::request;
use crate::workers::activity::{Activity, Busy, Execution};
use crate::workers::connection::{Arrived, Connection};
use crate::workers::leader::Leader;
use crate::workers::poller::{Event, Poller, Ready};

/// How long a worker may keep the GIL from request to request; then application threads get their turn. CPython's own
/// switch interval is as long.
const HOLD: Duration = Duration::from_millis(5);

/// How long the leader, with a request in hand, waits for the worker that serves one request after the other to give up
/// the GIL between two of them.
const LEADER_GIL_WAIT: Duration = Duration::from_micros(500);

/// One worker thread.
pub(crate) struct Worker {
    number: u32,
    poller: &'static Poller,
    ignored: Cell<bool>,
    /// The worker's entry in the flight recorder.
    recorder: OnceCell<&'static Entry>,
}

impl Worker {
    /// The worker with this number, counted from 1.
    pub(crate) fn new(number: u32, poller: &'static Poller) -> Self {
        Self { number, poller, ignored: Cell::new(false), recorder: OnceCell::new() }
    }

    fn activity(&self) -> Option<&'static Activity> {
        activity::all().get(self.number as usize - 1)
    }

    /// Notes the request that this worker has in hand.
    fn takes(
        &self,
        phase: Phase,
        since: Instant,
        interpreter: &'static Interpreter,
        connection: &Connection,
        arrived: &Arrived,
    ) {
        let Some(activity) = self.activity() else { return };
        *activity.busy() = Some(Busy {
            since,
            phase,
            right: Arc::clone(connection.right()),
            execution: Execution {
                interpreter,
                thread: object::thread_ident(),
                state: State::of(interpreter.handle),
                route: Arc::clone(&arrived.route),
            },
        });
    }

    fn active(&self) {
        if !self.ignored.get() {
            Process::get().watch.active();
        }
    }

    /// Serves until the poller is closed.
    pub(crate) fn run(&self) {
        if let Some(entry) = Process::get().recorder.worker(self.number) {
            // Once, here.
            let _ = self.recorder.set(entry);
        }
        let (mut next, mut leader) = (None, None);
        guard::repeat("a worker thread", || self.turn(&mut next, &mut leader));
        attach::release();
    }

    /// Serves the request that is next, or waits for one.
    fn turn(&self, next: &mut Option<Ready>, leader: &mut Option<Leader<'static>>) -> ControlFlow<()> {
        let ready = match next.take() {
            Some(ready) => ready,
            None => {
                let leading = leader.take().unwrap_or_else(|| self.poller.leadership.take());
                match self.poller.next(true) {
                    Event::Request(ready) => {
                        *leader = Some(leading);
                        ready
                    }
                    Event::Nothing => return ControlFlow::Continue(()),
                    Event::Closed => return ControlFlow::Break(()),
                }
            }
        };
        (*next, *leader) = self.serve(ready, leader.take());
        ControlFlow::Continue(())
    }

    /// Serves a request and those that are ready after it, as long as they belong to the same interpreter. Returns one
    /// that does not, and the lead, if this worker still has it.
    fn serve<'a>(
        &self,
        (mut connection, mut arrived): Ready,
        mut leader: Option<Leader<'a>>,
    ) -> (Option<Ready>, Option<Leader<'a>>) {
        panics::point("request: taken");
        let process = Process::get();
        let interpreters = Interpreters::get();
        let _present = process.watch.enter(&process.lifecycle);
        if arrived.route.interpreter().is_none() {
            // Making an interpreter takes its time.
            leader = None;
        }
        let interpreter = match interpreters.of(&arrived.route) {
            Ok(interpreter) => interpreter,
            Err(none) => {
                connection.done_with(arrived);
                if connection.refuse(none.status()).is_ok() {
                    self.poller.park(connection);
                }
                return (None, leader);
            }
        };
        self.takes(Phase::Waiting, Instant::now(), interpreter, &connection, &arrived);
        leader = leader.and_then(|leader| leader.waits(interpreters.run_in_parallel()));
        attach::with(interpreter.handle, |py| {
            let start = Instant::now();
            let mut begin = start;
            let pace = &self.poller.leadership.pace;
            loop {
                leader = leader.and_then(Leader::serve);
                let run = pace.begins(begin);
                self.execute(py, interpreter, begin, connection, arrived);
                leader = leader.and_then(Leader::served);
                let now = Instant::now();
                pace.ended(&run, now);
                process.page.tell_pace(pace.mean(), clock::moment());
                begin = now;
                if now - start > HOLD || self.poller.leadership.waits(LEADER_GIL_WAIT) {
                    return (None, leader);
                }
                match self.poller.next(false) {
                    Event::Request(ready) if interpreter_known(&ready, interpreter) => (connection, arrived) = ready,
                    Event::Request(ready) => return (Some(ready), leader),
                    Event::Nothing | Event::Closed => return (None, leader),
                }
            }
        })
    }

    fn execute(
        &self,
        py: Python<'_>,
        interpreter: &'static Interpreter,
        begin: Instant,
        connection: Box<Connection>,
        arrived: Arrived,
    ) {
        let process = Process::get();
        process.page.busy.fetch_add(1, Ordering::Relaxed);
        process.watch.request_began();
        self.takes(Phase::Executing, begin, interpreter, &connection, &arrived);
        // A panic costs this request only: its connection is gone, which the Apache child answers with an error.
        let served = guard::catch("a request", || serve::serve(py, interpreter, self, connection, arrived)).flatten();
        forked::must_not_come_back();
        if let Some(left) = request::set_current(None) {
            drop(left.finish(py));
        }
        if let Some(entry) = self.recorder.get() {
            entry.end();
        }
        let was = self.activity().and_then(|activity| activity.busy().take());
        if was.is_some_and(|busy| busy.phase != Phase::Executing) {
            // An interruption that came too late must not hit the next request.
            object::set_async_exception(py, object::thread_ident(), None);
        }
        self.active();
        process.page.busy.fetch_sub(1, Ordering::Relaxed);
        // What the group's own code writes there may be any number.
        let done = process.page.requests.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        // Exactly one request is the one that reaches it.
        if process.watch.request_limit == Some(done) {
            process.lifecycle.retire(Reason::MaximumRequests);
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

    fn begins(&self, task: &Task<'_>) {
        if let Some(entry) = self.recorder.get() {
            entry.begin(task);
        }
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
