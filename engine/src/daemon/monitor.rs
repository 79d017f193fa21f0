//! The monitor, which the main thread asks when something may be due: requests that are stuck, a GIL that is not given
//! back, a process that is idle or old.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::thread::Thread;
use std::time::{Duration, Instant};

use wsgi_unix::usage;
use wsgi_wire::control::Reason;
use wsgi_wire::messages::applications;

use crate::asgi;
use crate::asgi::server::{Server, server};
use crate::daemon::background::{Background, BackgroundTask};
use crate::ffi::guard;
use crate::interpreter::advice;
use crate::interpreters::Interpreters;
use crate::log::record;
use crate::process::Process;
use crate::process::limits::{Action, Facts, Phase, ProcessLimits, Running, judge};
use crate::workers::activity::{self, Activity, Busy};

/// How long the monitor sleeps at most while there are requests.
const TICK: Duration = Duration::from_secs(1);

/// While there are requests, takes and gives back the GILs, so that the monitor can see whether that is possible. Runs
/// on a thread of its own, which the monitor unparks; `every` is shorter than the time that the lock may be held.
pub(crate) fn probe(process: &Process, every: Duration) {
    let watch = &process.watch;
    guard::repeat("the thread that tries the GILs", || {
        while watch.is_asleep() {
            std::thread::park();
        }
        for interpreter in Interpreters::get().one_per_gil() {
            Interpreters::get().visit(interpreter, |_py| ());
        }
        watch.gils_are_free();
        if server().is_some_and(Server::goes_round) {
            watch.loop_goes_round();
        }
        std::thread::sleep(every);
        ControlFlow::Continue(())
    });
}

/// The monitor's view of the process.
pub(crate) struct Monitor {
    limits: ProcessLimits,
    /// The thread of [`probe`].
    probe: Option<Thread>,
    /// When the process last woke up: what the probe has seen before means nothing.
    awake_since: Instant,
    memory_looked: Instant,
    memory: u64,
}

impl Monitor {
    /// A monitor for these limits.
    pub(crate) fn new(limits: ProcessLimits, probe: Option<Thread>) -> Self {
        let now = Instant::now();
        Self { limits, probe, awake_since: now, memory_looked: now, memory: 0 }
    }

    /// The requests that workers have in hand.
    fn running() -> Vec<Running> {
        let busy = |(worker, activity): (usize, &Activity)| {
            activity.busy().as_ref().map(|b| Running { worker, since: b.since, phase: b.phase })
        };
        activity::all().iter().enumerate().filter_map(busy).collect()
    }

    /// Whether there is a request that is worth waiting for.
    pub(crate) fn is_busy(&self) -> bool {
        Self::running().iter().any(|running| running.phase != Phase::GivenUp) || asgi::is_busy()
    }

    /// Sleeps, by calling `wait`, until something happens or `until`; while there are requests, not for long. Only a
    /// request wakes an idle process.
    pub(crate) fn sleep(&mut self, process: &Process, until: Option<Instant>, wait: impl FnOnce(Option<Duration>)) {
        let watch = &process.watch;
        let idle = watch.fall_asleep();
        if idle {
            // Requests of Apache children that died stay counted.
            process.page.unanswered.store(0, Ordering::Relaxed);
        } else {
            // It may have seen us about to fall asleep.
            self.wake_probe();
            if let Some(server) = server() {
                server.asks_for_lag();
            }
        }
        let tick = Instant::now() + TICK;
        let until = if idle { until } else { Some(until.map_or(tick, |until| until.min(tick))) };
        wait(until.map(|until| until.saturating_duration_since(Instant::now())));
        if idle {
            watch.wake_up();
            self.awake_since = Instant::now();
            self.wake_probe();
        }
    }

    fn wake_probe(&self) {
        if let Some(probe) = &self.probe {
            probe.unpark();
        }
    }

    /// Looks at the process and does what is due. Returns when something may be due next.
    pub(crate) fn look(&mut self, process: &Process, leaving: bool, background: &Background) -> Option<Instant> {
        loop {
            let (action, next) = self.judge(process, leaving);
            let Some(action) = action else { return next };
            match action {
                Action::Interrupt(worker, since) => {
                    let interrupted = Phase::Interrupted(Instant::now());
                    let interrupt = |busy: &Busy| background.send(BackgroundTask::Interrupt(worker, busy.clone()));
                    Self::change(worker, since, interrupted, interrupt);
                }
                Action::GiveUp(worker, since) => {
                    // If the answer has begun, it is the worker's to end.
                    let answer = |busy: &Busy| {
                        busy.right.fail(504);
                    };
                    if Self::change(worker, since, Phase::GivenUp, answer) {
                        process.lifecycle.drain(Reason::RequestTimeout);
                    }
                }
                Action::Retire(reason) => {
                    process.lifecycle.retire(reason);
                    return None;
                }
                Action::Drain(reason) => {
                    process.lifecycle.drain(reason);
                    return None;
                }
                Action::Stop(reason) => {
                    if reason == Reason::DeadlockTimeout {
                        advise();
                    }
                    answer_all();
                    if let Some(server) = server() {
                        server.answer_all();
                    }
                    process.lifecycle.stop(reason);
                    return None;
                }
            }
        }
    }

    fn judge(&mut self, process: &Process, leaving: bool) -> (Option<Action>, Option<Instant>) {
        let (running, watch, now) = (Self::running(), &process.watch, Instant::now());
        let needed = watch.anybody_present();
        if self.limits.memory.is_some() && now >= self.memory_looked + TICK {
            (self.memory, self.memory_looked) = (usage::memory(), now);
        }
        let facts = Facts {
            began: watch.began,
            leaving,
            running: &running,
            unloaded_since: watch.unloaded_since(),
            gil_free: watch.gil_free().map(|free| free.max(self.awake_since)).filter(|_| needed),
            loop_round: watch
                .loop_round()
                .map(|round| round.max(self.awake_since))
                .filter(|_| needed && server().is_some()),
            last_activity: watch.last_activity().filter(|_| !asgi::is_busy()),
            memory: self.memory,
        };
        judge(&self.limits, &facts, now)
    }

    /// Notes a request's new phase and does what that means for it, unless the worker has got on to another request.
    fn change(worker: usize, since: Instant, phase: Phase, then: impl FnOnce(&Busy)) -> bool {
        activity::all().get(worker).is_some_and(|activity| activity.change(since, phase, then))
    }
}

/// Answers all requests in place of their workers, which will not do so any more. Clients get what they would get if
/// the process had died, but at once, and requests that were not begun can go to another process.
fn answer_all() {
    for activity in activity::all() {
        if let Some(busy) = activity.busy().as_mut() {
            match busy.phase {
                Phase::Waiting => busy.right.reject(),
                _ => busy.right.fail(502),
            };
            busy.phase = Phase::GivenUp;
        }
    }
}

/// Logs what may be the cause when requests in sub-interpreters run and a GIL is not given back; once for each script.
fn advise() {
    let busy = activity::all().iter().filter_map(|activity| activity.busy().clone());
    let advice =
        busy.filter_map(|busy| advice::deadlock_advice(busy.execution.interpreter, busy.execution.route.script()));
    for line in advice.collect::<BTreeSet<_>>() {
        record::process(&applications::MAY_WAIT_FOR_ITSELF, &line);
    }
}
