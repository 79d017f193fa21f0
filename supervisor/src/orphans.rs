//! Slots that an earlier supervisor has left behind. Its daemons notice that it is gone and end by themselves; until then their slots stay taken.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use wsgi_wire::table::{Slot, State};

use crate::sys::table::Table;

/// How often to look whether they are gone: nothing reports the end of a process that is not a child of ours.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The slots of processes that are not ours.
#[derive(Debug)]
pub struct Orphans {
    slots: Vec<usize>,
}

impl Orphans {
    /// Everything in the table that has a live process, whatever else is said of it: to be called before the first process is started.
    pub fn find(table: &Table) -> Self {
        let taken = |(_, slot): &(usize, &Slot)| slot.state() != State::Free || is_alive(slot.pid.load(Relaxed));
        let orphans = Self { slots: table.slots().filter(taken).map(|(index, _)| index).collect() };
        for slot in orphans.slots.iter().filter_map(|index| table.slot(*index)) {
            slot.set_state(State::Draining);
        }
        orphans
    }

    /// Frees the slots whose processes are gone. Returns whether some are left.
    pub fn release(&mut self, table: &Table) -> bool {
        self.slots.retain(|index| {
            let Some(slot) = table.slot(*index) else { return false };
            let alive = is_alive(slot.pid.load(Relaxed));
            if !alive {
                slot.pid.store(0, Relaxed);
                slot.set_state(State::Free);
            }
            alive
        });
        !self.slots.is_empty()
    }
}

/// A process of another user is alive too, though we may not send it anything.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}
