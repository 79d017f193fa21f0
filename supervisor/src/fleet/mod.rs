//! The daemon processes of all groups: starts and ends them as [`lifecycle::decide`] says.
//!
//! Knows each process, what it was started with and how it has ended. Must not decide when one is started or ended, nor
//! know Apache.

mod news;
mod status;

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::Instant;

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use wsgi_wire::control::{Outcome, Reason};
use wsgi_wire::messages::{Topic, processes};
use wsgi_wire::table::group_key;

use crate::channel::Channel;
use crate::configuration::{Configuration, Group};
use crate::group_history::GroupHistory;
use crate::lifecycle::{self, Action, Cause, Goal};
use crate::listener;
use crate::memory::MemoryKills;
use crate::orphans::{self, Orphans};
use crate::output::Outputs;
use crate::privileges::with_all;
use crate::process::spawn::{self, Shared};
use crate::process::{Process, exit};
use crate::sys::table::Table;

/// All daemon processes, and what is remembered of their groups.
#[derive(Debug)]
pub struct Fleet {
    shared: Shared,
    configuration: Option<Rc<Configuration>>,
    processes: Vec<Process>,
    histories: HashMap<Vec<u8>, GroupHistory>,
    /// How many processors the machine has.
    parallel: usize,
    orphans: Orphans,
    memory_kills: MemoryKills,
    /// The standard output and error of all processes.
    pub outputs: Outputs,
}

impl Fleet {
    /// Makes a fleet without processes but those that an earlier supervisor has left.
    pub fn new(shared: Shared) -> Self {
        Self {
            orphans: Orphans::find(&shared.table),
            shared,
            configuration: None,
            processes: Vec::new(),
            histories: HashMap::new(),
            parallel: std::thread::available_parallelism().map_or(1, usize::from),
            memory_kills: MemoryKills::watch(),
            outputs: Outputs::default(),
        }
    }

    /// Whether no process is left.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.orphans.is_empty()
    }

    /// The configuration in force; `None` before the first.
    pub fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_deref()
    }

    /// Takes a new configuration.
    pub fn configure(&mut self, configuration: Configuration) {
        if self.configuration.is_none() {
            let Configuration { socket_prefix, parent, .. } = &configuration;
            let in_use = self.orphans.meet(&configuration, &self.shared.table);
            with_all(|| listener::remove_stale(socket_prefix, *parent, &in_use));
        }
        self.histories.values_mut().for_each(|history| history.reconfigured(configuration.generation));
        // What has failed may work with the new settings.
        configuration.groups.iter().for_each(|group| self.set_failing(group, false));
        self.configuration = Some(Rc::new(configuration));
    }

    /// Does what is to be done now. Returns when to look again. `wanted` as for [`Self::decide`].
    pub fn act(&mut self, wanted: impl Fn() -> Option<bool>) -> Option<Instant> {
        let orphans = self.orphans.release(&self.shared.table).then(|| Instant::now() + orphans::INTERVAL);
        loop {
            let (actions, wake) = self.decide(wanted());
            if actions.is_empty() {
                return wake.into_iter().chain(orphans).min();
            }
            for action in actions {
                self.perform(action);
            }
        }
    }

    /// The connections to processes, with the processes' ids, and the moments at which those that have sent too much
    /// for now are read again.
    pub fn channels(&self) -> impl Iterator<Item = (Pid, &Channel, Option<Instant>)> {
        self.processes.iter().filter_map(|process| {
            let Process { pid, dialogue, .. } = process;
            Some((*pid, dialogue.channel()?, dialogue.heard_at()))
        })
    }

    /// Decides what is to be done, and when to look again. `wanted`: whether Apache, as far as is known, has a use for
    /// processes; `None`: the server stops.
    fn decide(&self, wanted: Option<bool>) -> (Vec<Action>, Option<Instant>) {
        // Before that there is nothing but what an earlier supervisor has left, and nobody knows yet whether it is
        // wanted.
        let Some(configuration) = &self.configuration else { return Default::default() };
        let ours = self.processes.iter().map(Process::facts);
        let processes: Vec<_> = ours.chain(self.orphans.facts(configuration, &self.shared.table)).collect();
        let groups: Vec<_> = configuration.groups.iter().map(|group| self.facts(group)).collect();
        let Configuration { generation, since, .. } = **configuration;
        let goal = match wanted {
            None => Goal::Stop,
            Some(true) => Goal::Run { generation, parallel: self.parallel, since, groups: &groups },
            Some(false) => Goal::Run { generation, parallel: self.parallel, since, groups: &[] },
        };
        lifecycle::decide(goal, &processes, Instant::now())
    }

    fn facts<'a>(&self, group: &'a Group) -> lifecycle::Group<'a> {
        let history = self.histories.get(group.name());
        lifecycle::Group {
            name: group.name(),
            processes: group.settings.processes as usize,
            service: group.is_service(),
            not_before: history.and_then(|history| history.crashes.not_before()),
            replace_not_before: history.and_then(|history| history.refusals.not_before()),
        }
    }

    fn perform(&mut self, action: Action) {
        if self.orphans.perform(action, &self.shared.table) {
            return;
        }
        match action {
            Action::Start(index) => self.start(index),
            Action::Drain(slot) => self.with(slot, |process, table| {
                process
                    .group
                    .log
                    .info(&format!("{} finishes its requests and ends: it is not needed any more", process.label()));
                if process.drain(table).is_err() {
                    process.stop(table, Reason::GracefulSignal);
                }
            }),
            Action::Stop(slot, cause) => self.stop(slot, cause),
            Action::TakeStacks(slot) => self.with(slot, |process, _| process.take_last_stacks()),
            Action::Kill(slot) => self.with(slot, |process, _| process.kill()),
            Action::ReportSlowStart(slot) => self.with(slot, |process, _| {
                let text = format!(
                    "{} is still loading its scripts after {} seconds; requests that only it can serve wait",
                    process.label(),
                    process.started.elapsed().as_secs()
                );
                process.group.log.record(&processes::SLOW_START, &text);
                process.slow_start_reported();
            }),
        }
    }

    fn stop(&mut self, slot: usize, cause: Cause) {
        self.with(slot, |process, table| {
            match cause {
                Cause::NotNeeded => {}
                // The record about its end tells of it.
                Cause::SlowStart => process.take_stacks(),
                Cause::SlowDrain => process.group.log.info(&format!(
                    "{} takes longer to finish its requests than its graceful-timeout and is stopped",
                    process.label()
                )),
            }
            process.stop(table, cause.reason());
        });
        let late = self.processes.iter().find(|process| process.slot == slot && cause == Cause::SlowStart);
        if let Some((group, started)) = late.map(|process| (Rc::clone(&process.group), process.started)) {
            self.refused(&group, started, Vec::new());
        }
    }

    fn with(&mut self, slot: usize, change: impl FnOnce(&mut Process, &Table)) {
        if let Some(process) = self.processes.iter_mut().find(|process| process.slot == slot) {
            change(process, &self.shared.table);
        }
    }

    fn start(&mut self, index: usize) {
        let Some(configuration) = self.configuration.clone() else { return };
        let Some(group) = configuration.groups.get(index) else { return };
        let now = Instant::now();
        let history = self.histories.entry(group.name().to_vec()).or_default();
        match spawn::spawn(group, &configuration, history, &self.shared) {
            Ok(spawned) => {
                let (process, output) = Process::new(spawned, Rc::clone(group), configuration.generation);
                self.outputs.add(process.pid.as_raw_pid() as u32, Rc::clone(group), output);
                group.log.info(&format!("{} has started", process.label()));
                process.check_priority();
                self.processes.push(process);
            }
            Err(error) => {
                let text = format!("process group '{}' gets no process: {error}", group.label());
                group.log.record(&processes::NO_PROCESS_STARTED, &text);
                history.crashes.ended(now, None, now);
                self.set_failing(group, true);
                self.refused(group, now, Vec::new());
            }
        }
    }

    /// Collects all processes that have ended. Returns those that belong to no group.
    pub fn reap(&mut self) -> Vec<Pid> {
        let mut strangers = Vec::new();
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if !self.ended(pid, ExitStatus::from_raw(status.as_raw())) {
                        strangers.push(pid);
                    }
                }
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return strangers,
            }
        }
    }

    /// Handles the end of a process. Returns whether it belongs to a group.
    fn ended(&mut self, pid: Pid, status: ExitStatus) -> bool {
        let Some(index) = self.processes.iter().position(|process| process.pid == pid) else { return false };
        let mut process = self.processes.swap_remove(index);
        // Its last words may still be in its pipe and its sockets.
        self.outputs.ended(pid.as_raw_pid() as u32);
        process.dialogue.listen();
        while let Ok(Some(news)) = process.dialogue.news() {
            self.learn(&mut process, news);
        }
        if let Some(entry) = self.shared.table.entry(process.slot) {
            entry.set_free();
        }
        let (ending, record) = process.post_mortem(status, self.memory_kills.any_new());
        if let Some(group) = self.shared.table.group(group_key(process.group.name())) {
            group.endings.add(ending);
        }
        match record {
            Some(text) => process.group.log.record(&processes::PROCESS_INCIDENT, &text),
            None => {
                let has_told = exit::has_told_why(status);
                let topic = if has_told { (&processes::PROCESS_REFUSES).into() } else { Topic::INFO };
                process.group.log.record(topic, &format!("{} {}", process.label(), exit::describe(status)));
            }
        }
        if !process.is_leaving() {
            let history = self.histories.entry(process.group.name().to_vec()).or_default();
            history.crashes.ended(process.started, process.ready, Instant::now());
            if process.ready.is_none() {
                if history.crashes.is_failing() || exit::has_told_why(status) {
                    self.set_failing(&process.group, true);
                }
                self.refused(&process.group, process.started, Vec::new());
            }
        }
        true
    }

    /// Notes in the table whether the processes of a group fail when they start.
    fn set_failing(&self, group: &Group, failing: bool) {
        if let Some(record) = self.shared.table.group(group_key(group.name())) {
            record.set_failing(failing);
        }
    }

    /// Has the processes of this group replaced, because an administrator asks for it.
    pub fn restart(&mut self, name: &[u8]) {
        if let Some(history) = self.histories.get_mut(name) {
            history.may_try_again();
        }
        for process in self.processes.iter_mut().filter(|process| process.group.name() == name) {
            // Of a service: nothing may run beside it, and nobody waits for it. One that is starting may have loaded
            // old code already, and serves nobody yet.
            if process.group.is_service() || process.is_starting() {
                process.stop(&self.shared.table, Reason::GracefulSignal);
            } else {
                process.dialogue.outdated(Reason::GracefulSignal);
            }
        }
    }

    /// Apache's file creation mask.
    pub fn umask(&self) -> u32 {
        self.shared.umask
    }

    /// The groups of the configuration.
    pub fn groups(&self) -> impl Iterator<Item = &Rc<Group>> {
        self.configuration.iter().flat_map(|configuration| &configuration.groups)
    }

    /// The outcome of the restart of a group that was asked for at this moment; `None` while it goes on.
    pub fn outcome(&self, name: &[u8], since: Instant) -> Option<Outcome> {
        let Some(group) = self.groups().find(|group| group.name() == name) else { return Some(Outcome::Unknown) };
        let all = || self.processes.iter().filter(|process| process.group.name() == name);
        let serves = |process: &&Process| process.serves() || group.is_service() && !process.is_leaving();
        let new = all().filter(serves).filter(|process| process.started >= since);
        let failed = self.histories.get(name).and_then(|history| history.refused).is_some_and(|last| last >= since);
        if failed || new.clone().any(|process| process.serves() && !process.works) {
            return Some(Outcome::Failed);
        }
        let old = all().any(|process| serves(&process) && process.started < since);
        (!old && new.count() >= group.settings.processes as usize).then_some(Outcome::Replaced)
    }
}
