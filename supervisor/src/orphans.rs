//! Processes that an earlier supervisor has left behind. They serve until ours have taken over: then their slots say
//! `Draining`, which they look for.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use wsgi_unix::process;
use wsgi_wire::table::{Entry, State, group_key, socket_path};

use crate::process::birth;

use crate::configuration::{Configuration, Group};
use crate::lifecycle::{self, Action, Phase, TimeLimits};
use crate::listener::SocketFile;
use crate::sys::table::Table;

/// How often to look whether they are gone: the system does not report the end of a process that is not our child.
pub const INTERVAL: Duration = Duration::from_millis(200);

/// The limits of a process whose group has been removed.
const UNKNOWN: (u32, u32, u32) = (0, 15, 5);

/// A process of an earlier supervisor.
#[derive(Debug)]
struct Orphan {
    slot: usize,
    serial: u32,
    group: u64,
    phase: Phase,
    since: Instant,
    /// The group of the process, if the configuration still has it.
    home: Option<Rc<Group>>,
    /// The socket of the process, which is removed with it.
    socket: Option<SocketFile>,
}

/// All processes that an earlier supervisor has left behind.
#[derive(Debug)]
pub struct Orphans {
    all: Vec<Orphan>,
}

impl Orphans {
    /// Finds every slot that is taken. Called before the first process is started.
    pub fn find(table: &Table) -> Self {
        let taken = |(_, entry): &(usize, &Entry)| !entry.is_free();
        let orphan = |(slot, entry): (usize, &Entry)| {
            let phase = match entry.state() {
                State::Ready | State::Reloading => Phase::Ready,
                // Nobody is there to hear that it is ready, so it ends.
                State::Free | State::Starting | State::Draining => Phase::Draining,
            };
            let (serial, group) = (entry.serial.load(Relaxed), entry.group.load(Relaxed));
            Orphan { slot, serial, group, phase, since: Instant::now(), home: None, socket: None }
        };
        Self { all: table.entries().filter(taken).map(orphan).collect() }
    }

    /// Whether no such process is left.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Finds the groups of these processes in a configuration, and takes over their sockets, whose paths it gives.
    pub fn meet(&mut self, configuration: &Configuration, table: &Table) -> Vec<String> {
        let meet = |orphan: &mut Orphan| {
            orphan.home = configuration.groups.iter().find(|group| group_key(group.name()) == orphan.group).cloned();
            if orphan.phase == Phase::Draining || orphan.state(table) == State::Draining {
                orphan.phase = Phase::Draining;
                orphan.set_draining(table);
            }
            let path = socket_path(&configuration.socket_prefix, configuration.parent, orphan.slot, orphan.serial);
            orphan.socket = Some(SocketFile::of(path.clone().into()));
            path
        };
        self.all.iter_mut().map(meet).collect()
    }

    /// The facts about these processes for [`lifecycle::decide`]: they are of an earlier configuration.
    pub fn facts<'a>(
        &'a self,
        configuration: &'a Configuration,
        table: &'a Table,
    ) -> impl Iterator<Item = lifecycle::Process<'a>> {
        self.all.iter().map(move |orphan| {
            let group = configuration.groups.iter().find(|group| group_key(group.name()) == orphan.group);
            let (startup, graceful, shutdown) = UNKNOWN;
            lifecycle::Process {
                slot: orphan.slot,
                group: group.map_or(&[], |group| group.name()),
                generation: 0,
                service: group.is_some_and(|group| group.is_service()),
                phase: orphan.phase,
                since: orphan.since,
                retiring: false,
                holds: orphan.state(table) == State::Reloading,
                patient: false,
                by_itself: false,
                limits: group.map_or_else(|| TimeLimits::new(startup, graceful, shutdown), |group| group.limits),
            }
        })
    }

    /// Whether one of these processes serves for this group.
    pub fn serve(&self, group: &Group) -> bool {
        self.all.iter().any(|orphan| orphan.phase == Phase::Ready && orphan.group == group_key(group.name()))
    }

    /// Performs an action if it is about one of these processes.
    pub fn perform(&mut self, action: Action, table: &Table) -> bool {
        let (Action::Drain(slot) | Action::Stop(slot, _) | Action::TakeStacks(slot) | Action::Kill(slot)) = action
        else {
            return false;
        };
        let Some(orphan) = self.all.iter_mut().find(|orphan| orphan.slot == slot) else { return false };
        let Some(entry) = table.entry(slot) else { return false };
        orphan.set_draining(table);
        let (phase, signal) = match action {
            // Nobody reads its stacks any more.
            Action::TakeStacks(_) | Action::Kill(_) => (Phase::Killed, Some(Signal::KILL)),
            // Its pages tell it, if there are any.
            Action::Drain(_) if orphan.home.is_some() => (Phase::Draining, None),
            _ => (Phase::Stopping, Some(Signal::TERM)),
        };
        if let Some(signal) = signal {
            send(entry, signal, orphan.home.as_deref());
        }
        (orphan.phase, orphan.since) = (phase, Instant::now());
        true
    }

    /// Frees the slots whose processes are gone. Returns whether some are left.
    pub fn release(&mut self, table: &Table) -> bool {
        self.all.retain(|orphan| {
            let Some(entry) = table.entry(orphan.slot) else { return false };
            // Who is not proved to be ours got no signal, and nothing more can be done about it.
            let given_up = orphan.phase == Phase::Killed && !is_proved(entry, orphan.home.as_deref());
            let stays = is_alive(entry) && !given_up;
            if !stays {
                entry.set_free();
            }
            stays
        });
        !self.all.is_empty()
    }
}

impl Orphan {
    /// The state of the process, as it and the former supervisor have said last.
    fn state(&self, table: &Table) -> State {
        let slot = self.home.as_ref().and_then(|group| table.slot(self.slot, &group.pages));
        slot.map(|slot| slot.state()).or_else(|| table.entry(self.slot).map(Entry::state)).unwrap_or(State::Free)
    }

    /// Tells the process, in its page, to take no more requests.
    fn set_draining(&self, table: &Table) {
        match self.home.as_ref().and_then(|group| table.slot(self.slot, &group.pages)) {
            Some(slot) => slot.set_state(State::Draining),
            None => table.entry(self.slot).into_iter().for_each(|entry| entry.set_state(State::Draining)),
        }
    }
}

/// Sends a signal to a process that is not our child. Nobody has waited for it, so its pid may be another's by now: the
/// signal is sent only to a process that a supervisor has provably started, and never to one of root, which no daemon
/// is.
fn send(entry: &Entry, signal: Signal, group: Option<&Group>) {
    let Some(pid) = i32::try_from(entry.pid.load(Relaxed)).ok().and_then(Pid::from_raw) else { return };
    // From here on it is this process and no other of the same pid.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if is_proved(entry, group) {
        // It may have ended in this moment.
        let _ = pidfd_send_signal(&process, signal);
    }
}

/// Whether a supervisor has started the process that has this pid now, as a user that it could have started it as.
fn is_proved(entry: &Entry, group: Option<&Group>) -> bool {
    let (number, born) = (entry.pid.load(Relaxed), entry.born.load(Relaxed));
    let own = rustix::process::geteuid();
    let is_theirs = |user: u32| match group.map(|group| &group.settings.spawn.identity) {
        Some(Some(identity)) => user == identity.uid,
        None if own.is_root() => user != 0,
        Some(None) | None => user == own.as_raw(),
    };
    born != 0 && birth::of(number) == Some(born) && birth::user(number).is_some_and(is_theirs)
}

/// Whether the process still exists.
fn is_alive(entry: &Entry) -> bool {
    let (number, born) = (entry.pid.load(Relaxed), entry.born.load(Relaxed));
    // Another one may have its pid by now.
    process::exists(number) && (born == 0 || birth::of(number).is_none_or(|now| now == born))
}
