//! The event loop: waits for messages, signals and times, and carries out what [`lifecycle::decide`] says.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use rustix::stdio::dup2_stderr;
use wsgi_wire::codec::Malformed;
use wsgi_wire::control::Reason;
use wsgi_wire::frame::Kind;
use wsgi_wire::record::Level;
use wsgi_wire::table::{State, group_key};

use crate::backoff::Backoff;
use crate::channel::Channel;
use crate::configuration::{Configuration, Group, Invalid};
use crate::lifecycle::{self, Action, Cause, Goal};
use crate::listener;
use crate::log::Log;
use crate::orphans::{self, Orphans};
use crate::process::Process;
use crate::signals::Signals;
use crate::sys::table::Table;
use crate::{exit, spawn};

/// Everything this program knows.
#[derive(Debug)]
pub struct Supervisor {
    /// To the Apache parent, until it closes it.
    control: Option<Channel>,
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
            control: Some(control),
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
            // Daemons first: what Apache wants may depend on who is ready by now.
            for pid in ready.daemons {
                self.hear_daemon(pid);
            }
            if ready.control {
                self.hear_apache();
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
                    process.stop(table, Reason::GracefulSignal);
                }
            }),
            Action::Stop(slot, cause) => self.with(slot, |process, table| {
                match cause {
                    Cause::NotNeeded => {}
                    Cause::SlowStart => log.error(&format!(
                        "{} is not ready after {} seconds, longer than its startup-timeout, and is stopped",
                        process.label(),
                        process.started.elapsed().as_secs()
                    )),
                    Cause::SlowDrain => log.warn(&format!(
                        "{} takes longer to finish its requests than its graceful-timeout and is stopped",
                        process.label()
                    )),
                }
                process.stop(table, cause.reason());
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
        if let Some((wanted, actual)) = process.refused_priority() {
            self.log
                .warn(&format!("{} has priority {actual}: cpu-priority={wanted} is not permitted", process.label()));
        }
    }

    /// Waits for something to happen.
    fn wait(&self, wake: Option<Instant>) -> io::Result<Ready> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(self.control.as_ref().map(|control| PollFd::new(control, PollFlags::IN)));
        let first_daemon = fds.len();
        let mut pids = Vec::new();
        for process in &self.processes {
            let Some(channel) = &process.channel else { continue };
            let write = if channel.wants_to_send() { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(channel, PollFlags::IN | write));
            pids.push(process.pid);
        }
        match poll(&mut fds, timeout(wake).as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        let happened = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let daemons =
            pids.into_iter().zip(&fds[first_daemon..]).filter(|(_, fd)| happened(fd)).map(|(pid, _)| pid).collect();
        Ok(Ready { control: fds[1..first_daemon].iter().any(happened), daemons })
    }

    fn take_signals(&mut self) {
        if self.signals.child_changed() {
            self.reap();
        }
    }

    /// Hears of every process that has ended.
    fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.ended(pid, ExitStatus::from_raw(status.as_raw())),
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn ended(&mut self, pid: Pid, status: ExitStatus) {
        let Some(index) = self.processes.iter().position(|process| process.pid == pid) else { return };
        let mut process = self.processes.swap_remove(index);
        // Its last words may still be in the socket.
        let _ = process.listen();
        if let Some(slot) = self.table.slot(process.slot) {
            slot.pid.store(0, Relaxed);
            slot.set_state(State::Free);
        }
        if let Some(record) = self.table.group(group_key(process.group.name())) {
            record.endings.add(process.ending(status));
        }
        let expected = process.is_leaving() || process.group.is_service() && status.success();
        let level = if expected { Level::Info } else { Level::Error };
        self.log.record(level, &format!("{} {}", process.label(), exit::describe(status)));
        if !process.is_leaving() {
            let backoff = self.backoffs.entry(process.group.name().to_vec()).or_default();
            backoff.ended(process.started, process.ready, Instant::now());
        }
    }

    fn hear_apache(&mut self) {
        let Some(mut control) = self.control.take() else { return };
        let open = control.receive();
        match self.obey(&mut control) {
            Ok(()) if open => self.control = Some(control),
            Ok(()) => self.stopping = true,
            Err(error) => {
                self.log.error(&format!(
                    "the Apache module is not of the same installation as this supervisor ({error}); all daemon processes stop"
                ));
                self.stopping = true;
            }
        }
    }

    /// Does what Apache has said so far.
    fn obey(&mut self, control: &mut Channel) -> Result<(), Invalid> {
        while let Some((kind, payload)) = control.next()? {
            match kind {
                Kind::Configure => {
                    let configuration = Configuration::read(&payload, control)?;
                    self.configure(configuration);
                }
                Kind::Stop => self.stopping = true,
                other => return Err(Malformed::Unknown(other as u64).into()),
            }
        }
        Ok(())
    }

    fn configure(&mut self, configuration: Configuration) {
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

    fn hear_daemon(&mut self, pid: Pid) {
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
                process.stop(&self.table, Reason::ShutdownSignal);
            }
        }
    }
}

/// What has something to read.
#[derive(Debug, Default)]
struct Ready {
    control: bool,
    daemons: Vec<Pid>,
}

/// The time until `wake`; without one, as long as it takes.
fn timeout(wake: Option<Instant>) -> Option<Timespec> {
    Timespec::try_from(wake?.saturating_duration_since(Instant::now())).ok()
}
