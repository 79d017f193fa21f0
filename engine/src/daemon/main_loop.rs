//! The main loop of a daemon process. Handles messages of the supervisor, signals and what the monitor finds, and takes
//! the process from stage to stage. Never takes a GIL, so that it always answers.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use wsgi_unix::fork::Unshared;
use wsgi_wire::control::{Drain, Reason};
use wsgi_wire::messages::{Topic, processes};

use crate::daemon::background::{Background, BackgroundTask};
use crate::daemon::control::{Control, Order};
use crate::daemon::last_words;
use crate::daemon::monitor::Monitor;
use crate::daemon::serving::Serving;
use crate::ffi::guard;
use crate::life::reporter;
use crate::log::record;
use crate::process::Process;
use crate::process::lifecycle::{Stage, Wish};
use crate::workers::outgoing::TRANSFERS;

/// How long a process without a supervisor serves. Apache starts another supervisor within a second or so; what takes
/// time is the loading of the application in the new processes.
const ORPHANED: Duration = Duration::from_secs(60);

/// How often a process without a supervisor looks whether another process has taken its place.
const LOOK: Duration = Duration::from_millis(100);

/// The state of the main thread while the process serves.
pub(crate) struct MainLoop {
    process: &'static Process,
    /// `None` once the supervisor is gone.
    control: Option<Control>,
    signals: Unshared,
    serving: Serving,
    background: Background,
    monitor: Monitor,
    /// Whether a successor has been asked for.
    retiring: bool,
    draining: Option<Draining>,
    /// When a process without a supervisor stops waiting for another one.
    orphaned: Option<Instant>,
}

/// The state of a process on its way out.
struct Draining {
    reason: Reason,
    /// How long requests may go without progress, or, without `patient`, how long they may last.
    limit: Duration,
    /// Whether requests may take their time as long as they make progress.
    patient: bool,
    since: Instant,
    /// The number of transfers at the last look: another one means progress.
    transfers: u64,
}

impl Draining {
    /// Returns the moment at which requests are no longer waited for.
    fn deadline(&mut self) -> Instant {
        let transfers = TRANSFERS.load(Ordering::Relaxed);
        if self.patient && std::mem::replace(&mut self.transfers, transfers) != transfers {
            self.since = Instant::now();
        }
        self.since + self.limit
    }
}

impl MainLoop {
    /// The main loop of a process that serves.
    pub(crate) fn new(
        process: &'static Process,
        control: Control,
        signals: Unshared,
        serving: Serving,
        background: Background,
        monitor: Monitor,
    ) -> Self {
        Self {
            process,
            control: Some(control),
            signals,
            serving,
            background,
            monitor,
            retiring: false,
            draining: None,
            orphaned: None,
        }
    }

    /// Runs until the process has to end, and returns why. A panic costs what one turn had to do.
    pub(crate) fn run(mut self) -> Reason {
        let mut reason = Reason::ShutdownSignal;
        guard::repeat("the main loop", || match self.turn() {
            Some(found) => {
                reason = found;
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        });
        reason
    }

    /// Waits for something to happen, and does what follows. Returns the reason if the process has to end.
    fn turn(&mut self) -> Option<Reason> {
        let next = self.monitor.look(self.process, self.draining.is_some() || self.retiring, &self.background);
        self.wait(next);
        self.process.lifecycle.awake();
        self.take_orders();
        self.take_signals();
        match self.process.lifecycle.wish() {
            Some((Wish::Stop, reason)) => {
                self.note(reason);
                return Some(self.stop(reason));
            }
            Some((Wish::Drain, reason)) if self.draining.is_none() => {
                self.note(reason);
                self.drain(reason, false, true);
            }
            Some((Wish::Retire, reason)) if self.draining.is_none() => self.retire(reason),
            _ => {}
        }
        self.name_scripts();
        self.look_for_supervisor();
        let draining = self.draining.as_mut()?;
        let is_over = !self.monitor.is_busy() || Instant::now() >= draining.deadline();
        is_over.then_some(draining.reason)
    }

    /// Waits until something happens, or `next`.
    fn wait(&mut self, next: Option<Instant>) {
        let deadline = self.draining.as_mut().map(Draining::deadline);
        let look = self.orphaned.map(|_| Instant::now() + LOOK);
        let until = next.into_iter().chain(deadline).chain(look).min();
        let mut sources =
            vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.process.lifecycle.source, PollFlags::IN)];
        sources.extend(self.control.iter().map(|control| PollFd::new(control, PollFlags::IN)));
        self.monitor.sleep(self.process, until, |left| {
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            // Interrupted or not, what follows looks at everything without waiting.
            let _ = poll(&mut sources, left.as_ref());
        });
    }

    /// Tells the supervisor that the process ends now, unless it knows already. Returns the reason: the one for which
    /// the process drains, or else this one.
    fn stop(&self, reason: Reason) -> Reason {
        if let Some(draining) = &self.draining {
            return draining.reason;
        }
        // Its successor should not wait until this one has ended. That the supervisor is gone shows when its socket is
        // looked at.
        if let Some(control) = self.control.as_ref().filter(|_| reason != Reason::ShutdownSignal) {
            let _ = control.draining(reason);
        }
        reason
    }

    /// Leaves a note where the process is, if it is to end for a reason that is worth a record: the supervisor reads it
    /// when it is told.
    fn note(&self, reason: Reason) {
        if reason.is_incident() {
            // That takes a moment, in which no request should come here.
            self.process.page.leave();
            last_words::ends_for(self.process, reason);
        }
    }

    fn take_orders(&mut self) {
        let Some(control) = &mut self.control else { return };
        match control.orders() {
            Ok(orders) => orders.into_iter().for_each(|order| self.carry_out(order)),
            Err(lost) => {
                record::process(
                    &processes::SERVES_ALONE,
                    &format!("The process serves on until there is another one: {lost}."),
                );
                self.control = None;
                crate::ffi::process::close_output();
                self.orphaned = Some(Instant::now() + ORPHANED);
            }
        }
    }

    /// After the supervisor is lost, serves until a new one marks the page of this process as replaced, until Apache is
    /// gone, or until [`ORPHANED`] has passed.
    fn look_for_supervisor(&mut self) {
        let Some(deadline) = self.orphaned.filter(|_| self.draining.is_none()) else { return };
        let apache = i32::try_from(self.process.settings.apache).ok().and_then(Pid::from_raw);
        let apache_gone = apache.is_some_and(|pid| test_kill_process(pid) == Err(Errno::SRCH));
        if apache_gone || Instant::now() >= deadline || self.process.page.has_left() {
            self.drain(Reason::SupervisorGone, false, false);
        }
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Stop => self.process.lifecycle.stop(Reason::ShutdownSignal),
            Order::Drain(Drain { reason, patient }) if self.draining.is_none() => self.drain(reason, patient, false),
            Order::Drain(_) => {}
            Order::Resume => self.process.serve_on(),
        }
    }

    fn take_signals(&self) {
        let mut numbers = [0u8; 32];
        let count = rustix::io::read(&self.signals, &mut numbers).unwrap_or(0);
        for number in numbers.iter().take(count).map(|n| i32::from(*n)) {
            match number {
                libc::SIGTERM | libc::SIGINT => self.process.lifecycle.stop(Reason::ShutdownSignal),
                libc::SIGUSR1 if self.process.settings.eviction_timeout > 0 => {
                    self.process.lifecycle.retire(Reason::EvictionSignal);
                }
                libc::SIGUSR1 => self.process.lifecycle.retire(Reason::GracefulSignal),
                libc::SIGXCPU => self.process.lifecycle.drain(Reason::CpuTimeLimit),
                number => self.background.send(BackgroundTask::Signal(number)),
            }
        }
    }

    /// Asks the supervisor for a successor, and serves on: its order follows when the successor is ready. A script asks
    /// for each of its versions.
    fn retire(&mut self, reason: Reason) {
        if std::mem::replace(&mut self.retiring, true) && reason != Reason::ScriptReload {
            return;
        }
        record::process(Topic::INFO, &format!("The process asks to be replaced ({}).", reason.name()));
        if reason.is_incident() {
            last_words::ends_for(self.process, reason);
        }
        if let Some(control) = &self.control {
            // That the supervisor is gone shows when its socket is looked at.
            let _ = control.retiring(reason, self.process.hold.is_holding());
        }
    }

    /// Tells the supervisor which scripts requests come for.
    fn name_scripts(&self) {
        for script in self.process.lifecycle.loaded() {
            // As above.
            let _ = self.control.as_ref().map(|control| control.loaded(&script));
        }
    }

    /// Takes no new connections, and lets running requests finish. `own`: the process has decided that itself, so the
    /// supervisor is told.
    fn drain(&mut self, reason: Reason, patient: bool, own: bool) {
        let settings = &self.process.settings;
        let seconds = match reason {
            Reason::EvictionSignal => settings.eviction_timeout,
            _ => settings.graceful_timeout,
        };
        record::process(Topic::INFO, &format!("The process finishes what it has and ends ({}).", reason.name()));
        let limit = Duration::from_secs(seconds.into());
        reporter::stopping(reason.name());
        self.draining = Some(Draining { reason, limit, patient, since: Instant::now(), transfers: 0 });
        self.process.lifecycle.enter(Stage::Draining);
        self.process.page.leave();
        if own {
            // That the supervisor is gone shows when its socket is looked at.
            if let Some(control) = &self.control {
                let _ = control.draining(reason);
            }
        }
        self.serving.retire();
    }
}
