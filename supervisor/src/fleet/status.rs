//! How the groups and their processes are, for the administrator: figures of the process table.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use wsgi_wire::status::{Durations, GroupStatus, ProcessStatus, Status};
use wsgi_wire::table::histogram::Distribution;
use wsgi_wire::table::{Ending, Queue, Refusal, Slot, State, group_key};

use super::Fleet;
use crate::configuration::Group;

impl Fleet {
    /// The server now.
    pub fn status(&self) -> Status {
        let header = self.shared.table.header();
        Status {
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            started: header.started.load(Relaxed),
            generation: header.generation.load(Relaxed),
            groups: self.groups().map(|group| self.group_status(group)).collect(),
        }
    }

    fn group_status(&self, group: &Group) -> GroupStatus {
        let table = &self.shared.table;
        let key = group_key(group.name());
        let own = table.entries().filter(|(_, entry)| entry.is_of(key) && !entry.is_free());
        let slots: Vec<_> = own.filter_map(|(index, _)| table.slot(index, &group.pages)).collect();
        let record = table.group(key);
        let queued = record.map_or(0, |record| record.queue.waiting(milliseconds(), Queue::ALIVE));
        GroupStatus {
            name: group.name().into(),
            wanted: group.settings.processes,
            threads: group.settings.daemon.threads,
            waiting: slots.iter().fold(queued, |all, slot| all.saturating_add(slot.waiting())),
            classes: record.map_or(Vec::new(), |record| record.classes().to_vec()),
            refused: record.map_or(Vec::new(), |record| {
                Refusal::all().map(|why| (why.name().as_bytes().into(), record.refusals(why))).collect()
            }),
            ended: record.map_or(Vec::new(), |record| {
                Ending::all().map(|ending| (ending.name().as_bytes().into(), record.endings.count(ending))).collect()
            }),
            latency: Durations::of(&record.map_or(Distribution::default(), |record| record.latency().read())),
            waits: Durations::of(&record.map_or(Distribution::default(), |record| record.waits.read())),
            processes: slots.into_iter().map(process_status).filter(|process| process.state != State::Free).collect(),
        }
    }
}

fn process_status(slot: Slot<'_>) -> ProcessStatus {
    ProcessStatus {
        pid: slot.entry.pid.load(Relaxed),
        state: slot.state(),
        started: slot.entry.started.load(Relaxed),
        generation: slot.entry.generation.load(Relaxed),
        threads: slot.entry.threads.load(Relaxed),
        busy: slot.page.busy.load(Relaxed),
        in_flight: slot.page.in_flight.load(Relaxed),
        requests: slot.page.requests.load(Relaxed),
    }
}

/// The clock by which those who wait have looked.
fn milliseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}
