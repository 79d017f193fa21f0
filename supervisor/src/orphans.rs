//! Processes that an earlier supervisor has left behind. They serve until ours have taken over: then their slots say `Draining`, which they look for.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, test_kill_process};
use wsgi_wire::table::{Slot, State, group_key, socket_path};

use crate::configuration::{Configuration, Group};
use crate::lifecycle::{self, Action, Limits, Phase};
use crate::listener::SocketFile;
use crate::sys::table::Table;

/// How often to look whether they are gone: nothing reports the end of a process that is not a child of ours.
pub const INTERVAL: Duration = Duration::from_millis(200);

/// Limits of a process whose group is no more.
const UNKNOWN: (u32, u32, u32) = (0, 15, 5);

/// A process that is not ours.
#[derive(Debug)]
struct Orphan {
    slot: usize,
    serial: u32,
    group: u64,
    phase: Phase,
    since: Instant,
    /// Its socket, which goes with it.
    socket: Option<SocketFile>,
}

/// All of them.
#[derive(Debug)]
pub struct Orphans {
    all: Vec<Orphan>,
}

impl Orphans {
    /// Every slot that is taken; those without a live process are released at once. To be called before the first process is started.
    pub fn find(table: &Table) -> Self {
        let taken = |(_, slot): &(usize, Slot<'_>)| !slot.is_free();
        let orphan = |(index, slot): (usize, Slot<'_>)| {
            let phase = match slot.state() {
                State::Ready | State::Reloading => Phase::Ready,
                // Nobody is there to hear that it is ready, so it ends.
                State::Free | State::Starting | State::Draining => {
                    slot.set_state(State::Draining);
                    Phase::Draining
                }
            };
            let (serial, group) = (slot.entry.serial.load(Relaxed), slot.entry.group.load(Relaxed));
            Orphan { slot: index, serial, group, phase, since: Instant::now(), socket: None }
        };
        Self { all: table.slots().filter(taken).map(orphan).collect() }
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Takes their sockets over; gives the paths.
    pub fn take_sockets(&mut self, prefix: &str, parent: u32) -> Vec<String> {
        let path = |orphan: &mut Orphan| {
            let path = socket_path(prefix, parent, orphan.slot, orphan.serial);
            orphan.socket = Some(SocketFile::of(path.clone().into()));
            path
        };
        self.all.iter_mut().map(path).collect()
    }

    /// What [`lifecycle::decide`] has to know of them: they are of an earlier configuration.
    pub fn facts<'a>(
        &'a self,
        configuration: &'a Configuration,
        table: &'a Table,
    ) -> impl Iterator<Item = lifecycle::Process<'a>> {
        self.all.iter().map(move |orphan| {
            let group = orphan.group_in(configuration);
            let (startup, graceful, shutdown) = UNKNOWN;
            lifecycle::Process {
                slot: orphan.slot,
                group: group.map_or(&[], |group| group.name()),
                generation: 0,
                service: group.is_some_and(|group| group.is_service()),
                phase: orphan.phase,
                since: orphan.since,
                retiring: false,
                holds: table.slot(orphan.slot).is_some_and(|slot| slot.state() == State::Reloading),
                patient: false,
                limits: group.map_or_else(|| Limits::new(startup, graceful, shutdown), |group| group.limits),
            }
        })
    }

    /// Whether one of them serves for this group.
    pub fn serve(&self, group: &Group) -> bool {
        self.all.iter().any(|orphan| orphan.phase == Phase::Ready && orphan.group == group_key(group.name()))
    }

    /// Does this if it is about one of them.
    pub fn perform(&mut self, action: Action, configuration: Option<&Configuration>, table: &Table) -> bool {
        let (Action::Drain(slot) | Action::Stop(slot, _) | Action::Kill(slot)) = action else { return false };
        let Some(orphan) = self.all.iter_mut().find(|orphan| orphan.slot == slot) else { return false };
        let Some(place) = table.slot(slot) else { return false };
        place.set_state(State::Draining);
        let (phase, signal) = match action {
            Action::Stop(..) => (Phase::Stopping, Some(Signal::TERM)),
            Action::Kill(_) => (Phase::Killed, Some(Signal::KILL)),
            _ => (Phase::Draining, None),
        };
        if let Some(signal) = signal {
            let group = configuration.and_then(|configuration| orphan.group_in(configuration));
            send(place.entry.pid.load(Relaxed), signal, group);
        }
        (orphan.phase, orphan.since) = (phase, Instant::now());
        true
    }

    /// Frees the slots whose processes are gone. Returns whether some are left.
    pub fn release(&mut self, table: &Table) -> bool {
        self.all.retain(|orphan| {
            let Some(slot) = table.slot(orphan.slot) else { return false };
            let alive = is_alive(slot.entry.pid.load(Relaxed));
            if !alive {
                slot.entry.pid.store(0, Relaxed);
                slot.set_state(State::Free);
            }
            alive
        });
        !self.all.is_empty()
    }
}

impl Orphan {
    fn group_in<'c>(&self, configuration: &'c Configuration) -> Option<&'c Group> {
        let of_group = |group: &&std::rc::Rc<Group>| group_key(group.name()) == self.group;
        configuration.groups.iter().find(of_group).map(std::rc::Rc::as_ref)
    }
}

/// Sends a signal to a process that is not our child. Nobody has waited for it, so its pid may be another's by now: the signal goes to nobody but a
/// process of the group's user, which the group could have sent it to itself.
fn send(pid: u32, signal: Signal, group: Option<&Group>) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    // From here on it is this process and no other of the same pid.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    let identity = group.and_then(|group| group.settings.spawn.identity.as_ref());
    let user = identity.map_or_else(|| rustix::process::geteuid().as_raw(), |identity| identity.uid);
    let is_theirs = fs::metadata(format!("/proc/{}", pid.as_raw_nonzero())).is_ok_and(|owner| owner.uid() == user);
    if is_theirs {
        // It may have ended in this moment.
        let _ = pidfd_send_signal(&process, signal);
    }
}

/// A process of another user is alive too, though we may not send it anything.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}
