//! A daemon process during its life: how it is spawned, what it sends, how it ends.
//!
//! Knows its group's settings and its slot of the table. Must not know other processes, nor whether there will be a
//! successor.

pub mod birth;
pub mod dialogue;
pub mod exit;
mod interpreter;
mod post_mortem;
mod recorder;
pub mod spawn;

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, getpriority_process, kill_process};
use wsgi_wire::codec::DecodeError;
use wsgi_wire::control::Reason;
use wsgi_wire::interface::Interface;
use wsgi_wire::limits::{DAEMON_BURST, DAEMON_RATE};
use wsgi_wire::messages::processes;
use wsgi_wire::recorder::{Recording, STACKS_SIGNAL};
use wsgi_wire::table::{Ending, Failure, State, group_key};

use self::dialogue::Dialogue;
use self::post_mortem::End;
use self::recorder::Recorder;
use self::spawn::Spawned;
use crate::configuration::Group;
use crate::lifecycle::{self, Phase};
use crate::listener::SocketFile;
use crate::output::Prepared;
use crate::sys::signal::send_to_thread;
use crate::sys::table::Table;

/// A running daemon process.
#[derive(Debug)]
pub struct Process {
    /// The slot of the process table that the process has.
    pub slot: usize,
    /// The id of the process.
    pub pid: Pid,
    /// The group as it was when the process was started.
    pub group: Rc<Group>,
    /// The configuration it belongs to.
    pub generation: u32,
    /// When it was started.
    pub started: Instant,
    /// When it became ready.
    pub ready: Option<Instant>,
    /// The dialogue with the process.
    pub dialogue: Dialogue,
    /// Whether the process has been able to load its scripts.
    pub works: bool,
    recorder: Recorder,
    /// Whether the log has a record that the process is to end.
    told: bool,
    /// The file of the process's socket, which is removed with it.
    _socket: SocketFile,
}

impl Process {
    /// Makes the record of a process that has just been spawned, and the reader of its output.
    pub fn new(spawned: Spawned, group: Rc<Group>, generation: u32) -> (Self, Prepared) {
        let Spawned { slot, pid, channel, socket, recorder, started, output } = spawned;
        // A service has nothing to get ready for: it works from its first moment.
        let ready = group.is_service().then_some(started);
        let process = Self {
            slot,
            pid,
            group,
            generation,
            started,
            ready,
            dialogue: Dialogue::new(channel, started),
            works: false,
            recorder,
            told: false,
            _socket: socket,
        };
        (process, output)
    }

    /// The facts about the process for [`lifecycle::decide`].
    pub fn facts(&self) -> lifecycle::Process<'_> {
        lifecycle::Process {
            slot: self.slot,
            group: self.group.name(),
            generation: self.generation,
            service: self.group.is_service(),
            phase: self.dialogue.phase(),
            since: self.dialogue.since(),
            retiring: self.dialogue.wish().is_some(),
            holds: self.dialogue.wish().is_some_and(|wish| wish.holds),
            patient: self.dialogue.is_patient(),
            by_itself: self.dialogue.is_its_own_doing(),
            limits: self.group.limits,
        }
    }

    /// The name of the process in messages.
    pub fn label(&self) -> String {
        format!("daemon process {} of group '{}'", self.pid.as_raw_pid(), self.group.label())
    }

    /// Logs if the process has not got the scheduling priority that was asked for.
    pub fn check_priority(&self) {
        let Some(wanted) = self.group.settings.spawn.nice else { return };
        if let Some(actual) = getpriority_process(Some(self.pid)).ok().filter(|actual| *actual != wanted) {
            let text = format!("{} has priority {actual}: cpu-priority={wanted} is not permitted", self.label());
            self.group.log.record(&processes::PRIORITY_REFUSED, &text);
        }
    }

    /// Whether the process has not yet said that it has loaded its scripts.
    pub fn is_starting(&self) -> bool {
        matches!(self.dialogue.phase(), Phase::Starting { .. })
    }

    /// Whether the end of the process would be in order: it was told to end or has said that it will.
    pub fn is_leaving(&self) -> bool {
        self.dialogue.phase().is_leaving()
    }

    /// Whether the supervisor has killed the process. The signal by which stacks are taken also ends a process that
    /// does not know it.
    fn is_being_killed(&self) -> bool {
        matches!(self.dialogue.phase(), Phase::TakingStacks | Phase::Killed)
    }

    /// Judges why the process has ended with this status: returns what the status page counts, and the record about it
    /// if that was not in order. `memory`: the kernel has killed processes for want of memory.
    pub fn post_mortem(&self, status: ExitStatus, memory: bool) -> (Ending, Option<String>) {
        let (label, recording) = (self.label(), self.recorder.read());
        let end = End { memory, ..self.end(&label, Some(status), &recording) };
        (self.ending(status, end.is_out_of_memory()), end.record(now()))
    }

    /// Returns the record that the process is to end, if the reason that it has announced is no part of an ordinary
    /// life.
    pub fn incident(&mut self) -> Option<String> {
        let (label, recording) = (self.label(), self.recorder.read());
        let record = self.end(&label, None, &recording).record(now());
        self.told |= record.is_some();
        record
    }

    /// Logs once that the process sends more than it may.
    pub fn complain(&mut self) {
        if self.dialogue.is_too_loud() {
            self.group.log.record(&processes::LOUD_PROCESS, &format!(
                "{} sends more than {DAEMON_BURST} messages at once and {DAEMON_RATE} a second; what exceeds that has to wait",
                self.label()
            ));
        }
    }

    fn end<'a>(&self, label: &'a str, status: Option<ExitStatus>, recording: &'a Recording) -> End<'a> {
        let settings = &self.group.settings.daemon;
        let limit = match recording.reason.or(self.dialogue.reason()) {
            Some(Reason::RequestTimeout) => settings.request_timeout.into(),
            Some(Reason::StartupTimeout) => settings.startup_timeout.into(),
            Some(Reason::DeadlockTimeout | Reason::StuckLoop) => settings.deadlock_timeout.into(),
            Some(Reason::RssLimit) => settings.rss_limit,
            _ => 0,
        };
        End {
            label,
            generation: self.generation,
            age: self.started.elapsed(),
            status,
            reason: self.dialogue.reason(),
            limit,
            told: self.told,
            killed: self.is_being_killed(),
            memory: false,
            recording,
        }
    }

    fn ending(&self, status: ExitStatus, out_of_memory: bool) -> Ending {
        match self.dialogue.reason() {
            _ if out_of_memory => Ending::Failed(Failure::OutOfMemory),
            _ if self.is_being_killed() => Ending::Failed(Failure::Killed),
            Some(reason) => Ending::Orderly(reason),
            None if self.ready.is_none() => Ending::Failed(Failure::FailedAtStart),
            None if status.signal() == Some(Signal::KILL.as_raw()) => Ending::Failed(Failure::Killed),
            None => Ending::Failed(Failure::Crash),
        }
    }

    /// Lets requests come. `works`: it could load its scripts. `interface`: what it says that it speaks, which counts
    /// where the configuration leaves it open.
    pub fn admit(&mut self, table: &Table, works: bool, interface: Interface) {
        self.works = works;
        self.dialogue.enter(Phase::Ready);
        self.ready = Some(self.dialogue.since());
        if let Some(slot) = table.slot(self.slot, &self.group.pages) {
            let settings = &self.group.settings.daemon;
            let interface = if settings.interface == Interface::Auto { interface } else { settings.interface };
            if let Some(group) = table.group(group_key(self.group.name())) {
                group.set_interface(interface);
            }
            slot.entry.threads.store(settings.concurrency(interface), Ordering::Relaxed);
            slot.admit();
        }
    }

    /// Whether the process could go on in place of a process of this group that cannot load its scripts.
    pub fn can_stand_in(&self, group: &Group) -> bool {
        self.serves() && self.works && self.group.is_like(group)
    }

    /// Whether the process takes requests.
    pub fn serves(&self) -> bool {
        self.dialogue.phase() == Phase::Ready
    }

    /// Tells the process to finish what it has. It answers by ending.
    ///
    /// # Errors
    /// The process cannot be told.
    pub fn drain(&mut self, table: &Table) -> Result<(), DecodeError> {
        self.leave(table);
        self.dialogue.drain()
    }

    /// Stops the process. `reason` counts unless there was one before.
    pub fn stop(&mut self, table: &Table, reason: Reason) {
        self.leave(table);
        self.dialogue.stops(reason);
        self.signal(Signal::TERM);
    }

    /// Stops the process because it does not keep to the protocol, which counts as if it had said that it ends.
    pub fn expel(&mut self, table: &Table) {
        self.dialogue.is_over();
        self.stop(table, Reason::ShutdownSignal);
    }

    /// Ends the process by force.
    pub fn kill(&mut self) {
        self.dialogue.enter(Phase::Killed);
        self.signal(Signal::KILL);
    }

    /// Makes the process write down where its threads are, whatever they do.
    pub fn take_stacks(&self) {
        // The main thread is in the main interpreter; another one may be loading a script in another.
        send_to_thread(self.pid, self.pid.as_raw_pid() as u32, STACKS_SIGNAL);
        for activity in self.recorder.read().activities.iter().filter(|activity| activity.number == 0) {
            send_to_thread(self.pid, activity.thread, STACKS_SIGNAL);
        }
    }

    /// Takes the stacks of the process for the last time: it is about to be killed.
    pub fn take_last_stacks(&mut self) {
        self.dialogue.enter(Phase::TakingStacks);
        self.take_stacks();
    }

    /// Notes that its slow start has been reported.
    pub fn slow_start_reported(&mut self) {
        self.dialogue.slow_start_reported();
    }

    /// Makes Apache children choose the process no more, at once: it will say so itself, but later.
    fn leave(&self, table: &Table) {
        if let Some(slot) = table.slot(self.slot, &self.group.pages) {
            slot.set_state(State::Draining);
        }
    }

    fn signal(&self, signal: Signal) {
        // It is a child that was not waited for yet, so the pid is its own. If it has ended meanwhile, all is well.
        let _ = kill_process(self.pid, signal);
    }
}

/// The time in seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
