//! The status of a server for its administrator: figures of the process table at one moment.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::codec::{Bytes, message};
use crate::interface::Interface;
use crate::table::histogram::Distribution;
use crate::table::{Denial, Slot, State, WebSocketCounts, websocket_counts};

message! {
    /// Supervisor → administrator: the status of the server. Times are in seconds since the epoch.
    pub struct Status {
        /// When the status was asked for.
        pub time: u64,
        /// When Apache was started.
        pub started: u64,
        /// The number of the configuration, counted from 1.
        pub generation: u32,
        /// The process groups.
        pub groups: Vec<GroupStatus>,
    }
}

message! {
    /// A process group.
    #[derive(Default)]
    pub struct GroupStatus {
        /// The group's name.
        pub name: Bytes,
        /// How many processes it should have.
        pub wanted: u32,
        /// How many threads each of them has; 0 in a group that only runs a script.
        pub threads: u32,
        /// How many requests wait for a free thread.
        pub waiting: u32,
        /// How many answers had a status of 1xx, 2xx, … 5xx.
        pub classes: Vec<u64>,
        /// How many requests no process has executed, by reason.
        pub refused: Vec<(Bytes, u64)>,
        /// How many processes have ended, by reason.
        pub ended: Vec<(Bytes, u64)>,
        /// How long requests took.
        pub latency: Durations,
        /// How long requests have waited that did not get a process at once.
        pub waits: Durations,
        /// What its processes speak; [`Interface::Auto`] as long as none has said so.
        pub interface: Interface,
        /// The WebSockets that it has had.
        pub websockets: WebSocketsStatus,
        /// How late the event loops of its processes have come to what they were asked for.
        pub lag: Durations,
        /// Its processes, those on their way out included.
        pub processes: Vec<ProcessStatus>,
    }
}

message! {
    /// The WebSockets that a group has had.
    #[derive(Default)]
    pub struct WebSocketsStatus {
        /// How many have been granted.
        pub opened: u64,
        /// How many were not granted, by reason.
        pub refused: Vec<(Bytes, u64)>,
        /// How many have ended, by code.
        pub closed: Vec<(Bytes, u64)>,
    }
}

message! {
    /// A histogram of durations.
    #[derive(Default)]
    pub struct Durations {
        /// The sum of all durations.
        pub nanoseconds: u64,
        /// How many durations are in each bucket.
        pub buckets: Vec<u64>,
    }
}

message! {
    /// A daemon process.
    pub struct ProcessStatus {
        /// The process id.
        pub pid: u32,
        /// The state of its life.
        pub state: State,
        /// When it was started.
        pub started: u64,
        /// The configuration that it belongs to.
        pub generation: u32,
        /// How many worker threads the process has.
        pub threads: u32,
        /// How many requests it executes.
        pub busy: u32,
        /// How many requests it has been given and not yet answered.
        pub in_flight: u32,
        /// How many requests it has finished.
        pub requests: u64,
        /// How many WebSockets are open to it, or are being asked for.
        pub websockets: u32,
        /// How many requests have their responses while their applications go on.
        pub background: u32,
        /// How many messages of WebSockets its applications have been given.
        pub messages_in: u64,
        /// How many they have sent.
        pub messages_out: u64,
        /// How late its event loop has come to what it was asked for; a collector is not told.
        pub lag: Durations,
    }
}

impl Durations {
    /// Makes the form in which durations travel.
    pub fn of(distribution: &Distribution) -> Self {
        let nanoseconds = u64::try_from(distribution.sum.as_nanos()).unwrap_or(u64::MAX);
        Self { nanoseconds, buckets: distribution.buckets.to_vec() }
    }

    /// Returns the durations in the form of the process table, without what a newer version might have more.
    pub fn distribution(&self) -> Distribution {
        let mut buckets = Distribution::default().buckets;
        buckets.iter_mut().zip(&self.buckets).for_each(|(bucket, count)| *bucket = *count);
        Distribution { sum: Duration::from_nanos(self.nanoseconds), buckets }
    }
}

impl WebSocketsStatus {
    /// Reads what Apache children have counted.
    pub fn of(counted: &WebSocketCounts) -> Self {
        let named = |(name, count): (&str, u64)| (name.as_bytes().into(), count);
        Self {
            opened: counted.opened(),
            refused: Denial::all().map(|why| named((why.name(), counted.refusals(why)))).collect(),
            closed: websocket_counts::CODES.into_iter().zip(counted.closes()).map(named).collect(),
        }
    }
}

impl ProcessStatus {
    /// Reads a process from the process table.
    pub fn of(slot: Slot<'_>) -> Self {
        Self {
            pid: slot.entry.pid.load(Relaxed),
            state: slot.state(),
            started: slot.entry.started.load(Relaxed),
            generation: slot.entry.generation.load(Relaxed),
            threads: slot.entry.threads.load(Relaxed),
            busy: slot.page.busy.load(Relaxed),
            in_flight: slot.page.in_flight.load(Relaxed),
            requests: slot.page.requests.load(Relaxed),
            websockets: slot.page.websockets.count(),
            background: slot.page.background.load(Relaxed),
            messages_in: slot.page.messages_in.load(Relaxed),
            messages_out: slot.page.messages_out.load(Relaxed),
            lag: Durations::of(&slot.lag()),
        }
    }
}

impl GroupStatus {
    /// The sum of a number of all its processes that take requests.
    pub fn of_ready(&self, number: impl Fn(&ProcessStatus) -> u32) -> u32 {
        let ready = self.processes.iter().filter(|process| process.state == State::Ready);
        ready.map(number).fold(0, u32::saturating_add)
    }

    /// The sum of a number of all its processes. What they say of themselves may be any number.
    pub fn of_all(&self, number: impl Fn(&ProcessStatus) -> u64) -> u64 {
        self.processes.iter().map(number).fold(0, u64::saturating_add)
    }

    /// How many of its processes are in this state.
    pub fn count(&self, state: State) -> usize {
        self.processes.iter().filter(|process| process.state == state).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::histogram::Histogram;

    #[test]
    fn durations_arrive_as_they_were() {
        let histogram = Histogram::default();
        histogram.add(Duration::from_millis(3));
        let before = histogram.read();
        assert_eq!(Durations::of(&before).distribution(), before);
    }
}
