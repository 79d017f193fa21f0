//! The record of a process group as a whole: it outlives its processes and, as long as the group is configured,
//! graceful restarts.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::ending::Endings;
use super::histogram::Histogram;
use super::layout::GROUP;
use super::names::group_key;
use super::places::PlacesOfConfigurations;
use super::queue::Queue;
use super::websocket_counts::WebSocketCounts;
use crate::budget::Budget;
use crate::codec::byte_enum;
use crate::interface::Interface;

byte_enum! {
    /// Why a request was given to no process.
    pub enum Refusal {
        /// The group has no process, nor one that starts.
        NoProcess = 0,
        /// No process was ready within `connect-timeout`.
        NotReady = 1,
        /// No process could be connected to.
        Unreachable = 2,
        /// The request has waited longer than `queue-timeout`.
        QueueTimeout = 3,
        /// As many requests as may wait were waiting already.
        QueueFull = 4,
        /// The group had as many of Apache's workers as it may have.
        WorkersTaken = 5,
        /// Its processes, or Apache, had as many WebSockets as they may have.
        WebSockets = 6,
    }
}

/// How many reasons there is room for: more than there are, so that more can be added without moving what follows.
const REFUSALS: usize = 8;

impl Refusal {
    /// All reasons for which a request may be refused.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..REFUSALS).filter_map(|n| Self::try_from(u8::try_from(n).ok()?).ok())
    }

    /// The word of the status for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoProcess => "no_process",
            Self::NotReady => "not_ready",
            Self::Unreachable => "unreachable",
            Self::QueueTimeout => "queue_timeout",
            Self::QueueFull => "queue_full",
            Self::WorkersTaken => "worker_limit",
            Self::WebSockets => "websocket_limit",
        }
    }
}

/// The record of a process group. All zero is a free record.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Group {
    key: AtomicU64,
    /// The last configuration that had the group; 0 in a free record.
    generation: AtomicU32,
    /// Whether its processes fail before they are ready: 0 or 1.
    failing: AtomicU32,
    /// What its processes speak, one more than [`Interface::number`]; 0: none has been ready yet.
    interface: AtomicU32,
    /// Where earlier builds, which share the table while a server is upgraded, have a shorter [`Queue`].
    earlier: [AtomicU64; 3],
    /// The places of Apache's workers that have a request of the group in hand, whatever it waits for.
    pub workers: PlacesOfConfigurations,
    /// The places of requests that processes have, or are given, before their bodies are all there; and of those whose
    /// processes may be waiting for a client to take the response, where that cannot be told beforehand.
    pub uploads: PlacesOfConfigurations,
    /// The budget of what its requests log.
    pub logged: Budget,
    classes: [AtomicU64; 5],
    latency: Histogram,
    /// How long requests have waited that did not get a process at once.
    pub waits: Histogram,
    refused: [AtomicU64; REFUSALS],
    /// How its processes have ended.
    pub endings: Endings,
    /// The WebSockets that it has had.
    pub websocket_counts: WebSocketCounts,
    /// The queue of its waiting requests.
    pub queue: Queue,
}

// That of a model is larger.
const _: () = assert!(cfg!(all(loom, test)) || size_of::<Group>() <= GROUP);

impl Group {
    /// The [`group_key`] of its name.
    pub fn key(&self) -> u64 {
        self.key.load(Relaxed)
    }

    /// Whether the record belongs, or has belonged, to a group.
    pub fn is_used(&self) -> bool {
        self.generation.load(Relaxed) != 0
    }

    /// Counts a request that a process has answered: the status that the client gets, and how long it took in the
    /// Apache child, waiting included.
    pub fn answered(&self, status: u16, latency: Duration) {
        if let Some(class) = usize::from(status / 100).checked_sub(1).and_then(|class| self.classes.get(class)) {
            class.fetch_add(1, Relaxed);
        }
        self.latency.add(latency);
    }

    /// Counts a request that no process has executed.
    pub fn refused(&self, why: Refusal) {
        if let Some(counter) = self.refused.get(why as usize) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// How many requests were refused for a reason.
    pub fn refusals(&self, why: Refusal) -> u64 {
        self.refused.get(why as usize).map_or(0, |counter| counter.load(Relaxed))
    }

    /// How many answers had a status of 1xx, 2xx, … 5xx.
    pub fn classes(&self) -> [u64; 5] {
        std::array::from_fn(|class| self.classes[class].load(Relaxed))
    }

    /// How long answered requests have taken.
    pub fn latency(&self) -> &Histogram {
        &self.latency
    }

    /// Whether its processes do not start: requests should not wait for them, and the log says why.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Relaxed) != 0
    }

    /// Sets whether its processes fail before they are ready.
    pub fn set_failing(&self, failing: bool) {
        self.failing.store(failing.into(), Relaxed);
    }

    /// What its processes speak, as the last one that became ready has it; `None` before the first.
    pub fn interface(&self) -> Option<Interface> {
        self.interface.load(Relaxed).checked_sub(1).map(Interface::of_number)
    }

    /// Says what its processes speak.
    pub fn set_interface(&self, interface: Interface) {
        self.interface.store(interface.number() + 1, Relaxed);
    }

    /// Counts anew what Apache counts, because a child has died with some of it.
    pub fn forget_places(&self) {
        self.workers.forget();
        self.uploads.forget();
    }

    fn occupy(&self, key: u64) {
        self.set_failing(false);
        self.interface.store(0, Relaxed);
        self.forget_places();
        self.queue.clear();
        self.classes.iter().chain(&self.refused).for_each(|counter| counter.store(0, Relaxed));
        self.latency.clear();
        self.waits.clear();
        self.endings.clear();
        self.websocket_counts.clear();
        self.key.store(key, Relaxed);
    }
}

/// Gives each group of a configuration its record: the one it had in the configuration before, or else the free one or,
/// if there is none, the one that has been out of use for longest. `generation` is greater than all before. `None` if
/// there are more groups than records.
pub fn assign<'t>(
    records: impl Iterator<Item = &'t Group> + Clone,
    names: &[&[u8]],
    generation: u32,
) -> Option<Vec<&'t Group>> {
    let known = |key: u64| records.clone().find(|r| r.key() == key && r.is_used());
    let kept: Vec<_> = names.iter().map(|name| (group_key(name), known(group_key(name)))).collect();
    for record in kept.iter().filter_map(|(_, record)| *record) {
        record.generation.store(generation, Relaxed);
    }
    let renew = |key: u64| {
        let unused = |r: &&Group| r.generation.load(Relaxed) != generation;
        let record = records.clone().filter(unused).min_by_key(|r| r.generation.load(Relaxed))?;
        record.occupy(key);
        record.generation.store(generation, Relaxed);
        Some(record)
    };
    kept.into_iter().map(|(key, record)| record.or_else(|| renew(key))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Reason;
    use crate::table::ending::Ending;

    #[test]
    fn a_group_keeps_its_record_as_long_as_it_is_configured() {
        let records = [Group::default(), Group::default(), Group::default()];
        let assign = |names: &[&[u8]], generation| assign(records.iter(), names, generation);
        let reload = Ending::Orderly(Reason::ScriptReload);

        let first = assign(&[b"a", b"b"], 1).unwrap();
        first[0].endings.add(reload);
        first[1].answered(200, Duration::from_millis(1));
        let second = assign(&[b"c", b"b"], 2).unwrap();
        assert!(std::ptr::eq(second[1], first[1]) && !std::ptr::eq(second[0], first[0]));
        assert_eq!(second[1].latency().read().count(), 1);
        // Not one that is in use, though it is configured later in the list.
        let third = assign(&[b"d", b"c", b"b"], 3).unwrap();
        assert!(std::ptr::eq(third[0], first[0]) && std::ptr::eq(third[1], second[0]));
        assert_eq!(third[0].endings.count(reload), 0);
        assert!(assign(&[b"a", b"b", b"c", b"d"], 4).is_none());
    }

    #[test]
    fn answers_are_counted_by_class_and_refusals_by_reason() {
        let group = Group::default();
        for status in [200, 204, 404, 503, 99, 700] {
            group.answered(status, Duration::from_millis(2));
        }
        group.refused(Refusal::QueueFull);
        assert_eq!(group.classes(), [0, 2, 0, 1, 1]);
        assert_eq!(group.latency().read().count(), 6);
        let refused: Vec<_> = Refusal::all().filter(|why| group.refusals(*why) > 0).map(Refusal::name).collect();
        assert_eq!(refused, ["queue_full"]);
    }
}
