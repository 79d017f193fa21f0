//! Slots that an earlier supervisor has left behind. Its daemons notice that it is gone and end by themselves; until then their slots stay taken.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use wsgi_wire::table::State;

use crate::sys::table::Table;

/// How often to look whether they are gone: nothing reports the end of a process that is not a child of ours.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The slots of processes that are not ours.
#[derive(Debug)]
pub struct Orphans {
    slots: Vec<usize>,
}

impl Orphans {
    /// Everything in the table that is not free: to be called before the first process is started.
    pub fn find(table: &Table) -> Self {
        let taken = table.slots().filter(|(_, slot)| slot.state() != State::Free);
        let orphans = Self { slots: taken.map(|(index, _)| index).collect() };
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
                slot.set_state(State::Free);
            }
            alive
        });
        !self.slots.is_empty()
    }
}

/// A process of another user is alive too, though we may not send it anything.
fn is_alive(pid: u32) -> bool {
    match i32::try_from(pid) {
        Ok(pid) if pid > 0 => kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH),
        _ => false,
    }
}
