//! The event loop: waits for messages, signals and times, and carries out what [`lifecycle::decide`] says.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::dup2_stderr;
use wsgi_wire::frame::Kind;
use wsgi_wire::record::Level;
use wsgi_wire::table::State;

use crate::backoff::Backoff;
use crate::channel::Channel;
use crate::configuration::{Configuration, Group};
use crate::lifecycle::{self, Action, Goal};
use crate::listener;
use crate::log::Log;
use crate::orphans::{self, Orphans};
use crate::process::Process;
use crate::signals::Signals;
use crate::sys::child::priority;
use crate::sys::table::Table;
use crate::{exit, spawn};

/// Everything this program knows.
#[derive(Debug)]
pub struct Supervisor {
    control: Channel,
    table: Table,
    signals: Signals,
    log: Log,
    /// Apache's file creation mask, for daemons without one of their own.
    umask: u32,
    configuration: Option<Rc<Configuration>>,
    processes: Vec<Process>,
    backoffs: HashMap<Vec<u8>, Backoff>,
    orphans: Orphans,
    stopping: bool,
}

impl Supervisor {
    /// A supervisor that waits for its first configuration.
    pub fn new(control: Channel, table: Table, signals: Signals, log: Log, umask: u32) -> Self {
        let orphans = Orphans::find(&table);
        Self {
            control,
            table,
            signals,
            log,
            umask,
            configuration: None,
            processes: Vec::new(),
            backoffs: HashMap::new(),
            orphans,
            stopping: false,
        }
    }

    /// Runs until it is told to stop and all processes are gone.
    ///
    /// # Errors
    /// If the system's means of waiting fail, which leaves nothing sensible to do.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            let wake = self.act();
            if self.stopping && self.processes.is_empty() {
                return Ok(());
            }
            let ready = self.wait(wake)?;
            self.take_signals();
            if ready.control {
                self.hear_apache();
            }
            for pid in ready.daemons {
                self.hear_daemon(pid);
            }
        }
    }

    /// Does what is to be done now; returns when to look again.
    fn act(&mut self) -> Option<Instant> {
        let orphans = self.orphans.release(&self.table).then(|| Instant::now() + orphans::INTERVAL);
        loop {
            let (actions, wake) = self.decide();
            if actions.is_empty() {
                return wake.into_iter().chain(orphans).min();
            }
            for action in actions {
                self.perform(action);
            }
        }
    }

    fn decide(&self) -> (Vec<Action>, Option<Instant>) {
        let processes: Vec<_> = self.processes.iter().map(Process::facts).collect();
        let now = Instant::now();
        match &self.configuration {
            Some(configuration) if !self.stopping => {
                let groups: Vec<_> = configuration.groups.iter().map(|group| self.facts(group)).collect();
                let goal = Goal::Run { generation: configuration.generation, groups: &groups };
                lifecycle::decide(goal, &processes, now)
            }
            _ => lifecycle::decide(Goal::Stop, &processes, now),
        }
    }

    fn facts<'a>(&self, group: &'a Group) -> lifecycle::Group<'a> {
        lifecycle::Group {
            name: group.name(),
            processes: group.settings.processes as usize,
            service: group.is_service(),
            not_before: self.backoffs.get(group.name()).and_then(Backoff::not_before),
        }
    }

    fn perform(&mut self, action: Action) {
        let log = self.log;
        match action {
            Action::Start(index) => self.start(index),
            Action::Drain(slot) => self.with(slot, |process, table| {
                log.info(&format!(
                    "{} finishes its requests and ends: Apache has a new configuration",
                    process.label()
                ));
                if process.drain(table).is_err() {
                    process.stop(table);
                }
            }),
            Action::Stop(slot) => self.with(slot, |process, table| {
                if process.is_leaving() {
                    log.warn(&format!("{} takes too long to finish its requests and is stopped", process.label()));
                }
                process.stop(table);
            }),
            Action::Kill(slot) => self.with(slot, |process, _| {
                log.error(&format!("{} has not stopped within its shutdown-timeout and is killed", process.label()));
                process.kill();
            }),
            Action::ReportSlowStart(slot) => self.with(slot, |process, _| {
                log.warn(&format!(
                    "{} is still loading its scripts after {} seconds; requests that only it can serve wait",
                    process.label(),
                    process.started.elapsed().as_secs()
                ));
                process.slow_start_reported();
            }),
        }
    }

    fn with(&mut self, slot: usize, change: impl FnOnce(&mut Process, &Table)) {
        if let Some(process) = self.processes.iter_mut().find(|process| process.slot == slot) {
            change(process, &self.table);
        }
    }

    fn start(&mut self, index: usize) {
        let Some(configuration) = self.configuration.clone() else { return };
        let Some(group) = configuration.groups.get(index) else { return };
        let now = Instant::now();
        match spawn::spawn(group, &configuration, &self.table, self.umask) {
            Ok(spawned) => {
                let process = Process::new(spawned, Rc::clone(group), configuration.generation);
                self.log.info(&format!("{} has started", process.label()));
                self.check_priority(&process);
                self.processes.push(process);
            }
            Err(error) => {
                self.log.error(&format!("process group '{}' gets no process: {error}", group.label()));
                self.backoffs.entry(group.name().to_vec()).or_default().ended(now, None, now);
            }
        }
    }

    fn check_priority(&self, process: &Process) {
        let Some(wanted) = process.group.settings.spawn.nice else { return };
        let actual = priority(process.pid);
        if actual != wanted {
            self.log
                .warn(&format!("{} has priority {actual}: cpu-priority={wanted} is not permitted", process.label()));
        }
    }

    /// Waits for something to happen.
    fn wait(&self, wake: Option<Instant>) -> io::Result<Ready> {
        let mut fds = vec![
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.control.as_fd(), if self.stopping { PollFlags::empty() } else { PollFlags::POLLIN }),
        ];
        let mut pids = Vec::new();
        for process in &self.processes {
            let Some(channel) = &process.channel else { continue };
            let write = if channel.wants_to_send() { PollFlags::POLLOUT } else { PollFlags::empty() };
            fds.push(PollFd::new(channel.as_fd(), PollFlags::POLLIN | write));
            pids.push(process.pid);
        }
        match poll(&mut fds, timeout(wake)) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        let happened = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        let daemons = pids.into_iter().zip(&fds[2..]).filter(|(_, fd)| happened(fd)).map(|(pid, _)| pid).collect();
        Ok(Ready { control: happened(&fds[1]), daemons })
    }

    fn take_signals(&mut self) {
        let arrived = self.signals.take();
        if arrived.stop {
            self.stopping = true;
        }
        if arrived.child {
            self.reap();
        }
    }

    /// Hears of every process that has ended.
    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return,
                Ok(status) => self.ended(status),
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn ended(&mut self, status: WaitStatus) {
        let (Some(pid), Some(how)) = (status.pid(), exit::describe(status)) else { return };
        let Some(index) = self.processes.iter().position(|process| process.pid == pid.as_raw() as u32) else { return };
        let mut process = self.processes.swap_remove(index);
        // Its last words may still be in the socket.
        let _ = process.listen();
        if let Some(slot) = self.table.slot(process.slot) {
            slot.set_state(State::Free);
        }
        let expected = process.is_leaving() || process.group.is_service() && status == WaitStatus::Exited(pid, 0);
        let level = if expected { Level::Info } else { Level::Error };
        self.log.record(level, &format!("{} {how}", process.label()));
        if !process.is_leaving() {
            let backoff = self.backoffs.entry(process.group.name().to_vec()).or_default();
            backoff.ended(process.started, process.ready, Instant::now());
        }
    }

    fn hear_apache(&mut self) {
        let open = self.control.receive();
        loop {
            match self.control.next() {
                Ok(None) => break,
                Ok(Some((Kind::Configure, payload))) => self.configure(&payload),
                Ok(Some((Kind::Stop, _))) => self.stopping = true,
                Ok(Some((other, _))) => self
                    .log
                    .error(&format!("Apache has sent a message of kind {other:?}, which is not for a supervisor")),
                Err(error) => {
                    self.log.error(&format!("what Apache has sent is malformed ({error}); all daemon processes stop"));
                    self.stopping = true;
                    return;
                }
            }
        }
        if !open {
            self.stopping = true;
        }
    }

    fn configure(&mut self, payload: &[u8]) {
        let configuration = match Configuration::read(payload, &mut self.control) {
            Ok(configuration) => configuration,
            Err(error) => return self.log.error(&format!("{error}; the one before stays in force")),
        };
        self.log.level = configuration.log_level;
        // A graceful restart after log rotation brings a new file.
        if let Err(error) = dup2_stderr(&*configuration.main_log) {
            self.log.error(&format!("the new error log cannot be used: {error}"));
        }
        if self.configuration.is_none() {
            listener::remove_stale(&configuration.socket_prefix, configuration.parent);
        }
        // What has failed may work with the new settings.
        self.backoffs.clear();
        self.configuration = Some(Rc::new(configuration));
    }

    fn hear_daemon(&mut self, pid: u32) {
        let Some(process) = self.processes.iter_mut().find(|process| process.pid == pid) else { return };
        if let Some(channel) = process.channel.as_mut().filter(|channel| channel.wants_to_send()) {
            channel.flush();
        }
        match process.listen() {
            Ok(None) => {}
            Ok(Some(reason)) => {
                self.log.info(&format!("{} finishes its requests and ends: {}", process.label(), reason.name()));
            }
            Err(error) => {
                self.log.error(&format!("{} has sent something malformed ({error}) and is stopped", process.label()));
                process.channel = None;
                process.stop(&self.table);
            }
        }
    }
}

/// What has something to read.
#[derive(Debug, Default)]
struct Ready {
    control: bool,
    daemons: Vec<u32>,
}

/// The time until `wake`, rounded up so that the moment has really come when it is over.
fn timeout(wake: Option<Instant>) -> PollTimeout {
    let Some(wake) = wake else { return PollTimeout::NONE };
    let milliseconds = wake.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
}
