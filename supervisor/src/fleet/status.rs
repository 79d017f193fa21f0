//! The status of the groups and their processes for the administrator: figures of the process table.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use wsgi_unix::clock;
use wsgi_wire::interface::Interface;
use wsgi_wire::status::{Durations, GroupStatus, ProcessStatus, Status, WebSocketsStatus};
use wsgi_wire::table::histogram::Distribution;
use wsgi_wire::table::{Ending, Queue, Refusal, State, group_key};

use super::Fleet;
use crate::configuration::Group;
use crate::notify::Condition;
use crate::process::Process;

impl Fleet {
    /// The status of the server at this moment.
    pub fn status(&self) -> Status {
        let header = self.shared.table.header();
        Status {
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            started: header.started.load(Relaxed),
            generation: header.generation.load(Relaxed),
            groups: self.groups().map(|group| self.group_status(group)).collect(),
        }
    }

    /// The condition of the server as a service: whether every group has a process that has loaded its application and
    /// is of the current configuration, or, where there can be none, one of an earlier configuration.
    pub fn condition(&self) -> Condition {
        let Some(configuration) = self.configuration() else {
            return Condition::Loading { group: String::new(), failing: false };
        };
        let is_loading = |group: &&Rc<Group>| {
            let own = || self.processes.iter().filter(|process| process.group.name() == group.name());
            let works = |process: &&Process| process.serves() && process.works;
            let is_new = |process: &Process| process.generation == configuration.generation;
            let refused = self.histories.get(group.name()).and_then(|history| history.refused);
            let goes_on =
                refused.is_some_and(|last| last >= configuration.since) && own().any(|process| works(&process));
            !goes_on && !own().any(|process| is_new(process) && (works(&process) || group.is_service()))
        };
        match configuration.groups.iter().find(is_loading) {
            None => Condition::Ready,
            Some(group) => {
                let record = self.shared.table.group(group_key(group.name()));
                let mut own = self.processes.iter().filter(|process| process.group.name() == group.name());
                // One that serves all the same answers 500.
                let failing = record.is_some_and(|record| record.is_failing())
                    || own.any(|process| process.serves() && !process.works);
                Condition::Loading { group: group.label(), failing }
            }
        }
    }

    fn group_status(&self, group: &Group) -> GroupStatus {
        let table = &self.shared.table;
        let key = group_key(group.name());
        let own = table.entries().filter(|(_, entry)| entry.is_of(key) && !entry.is_free());
        let slots: Vec<_> = own.filter_map(|(index, _)| table.slot(index, &group.pages)).collect();
        let record = table.group(key);
        // The clock by which those who wait have looked.
        let now = clock::monotonic().as_millis() as u64;
        let queued = record.map_or(0, |record| record.queue.waiting(now, Queue::ALIVE));
        let settings = &group.settings.daemon;
        let interface = match settings.interface {
            Interface::Auto => record.and_then(|record| record.interface()).unwrap_or(Interface::Auto),
            given => given,
        };
        let mut lag = Distribution::default();
        slots.iter().for_each(|slot| lag.merge(&slot.lag()));
        GroupStatus {
            name: group.name().into(),
            wanted: group.settings.processes,
            threads: settings.concurrency(interface),
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
            interface,
            websockets: record.map_or_else(Default::default, |record| WebSocketsStatus::of(&record.websocket_counts)),
            lag: Durations::of(&lag),
            processes: slots
                .into_iter()
                .map(ProcessStatus::of)
                .filter(|process| process.state != State::Free)
                .collect(),
        }
    }
}
