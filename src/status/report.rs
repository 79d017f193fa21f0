//! What the status pages tell, gathered from the process table: no daemon process is asked, so it does not matter how
//! busy they are.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use wsgi_unix::process::{self, resident};
use wsgi_wire::interface::Interface;
use wsgi_wire::status::ProcessStatus;
use wsgi_wire::table::histogram::Distribution;
use wsgi_wire::table::{self, Denial, Ending, Refusal, Slot, State, websocket_counts};

use crate::daemons::{self, Runtime};
use crate::relay::queue;

/// The server at one moment. Times are in seconds since the epoch.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// When the report was made.
    pub time: u64,
    /// When Apache was started.
    pub started: u64,
    /// The number of this configuration, counted from 1: each graceful restart brings a new one.
    pub generation: u32,
    /// Whether the supervisor of the daemon processes lives; `None` where none is needed.
    pub supervisor: Option<bool>,
    /// The process groups, by name.
    pub groups: Vec<Group>,
}

/// A process group.
#[derive(Debug, Clone, Default)]
pub struct Group {
    /// The group's name.
    pub name: String,
    /// How many processes it should have.
    pub wanted: u32,
    /// How many requests each of them should take at a time, of WSGI its threads; 0 in a group that only runs a script.
    pub threads_each: u32,
    /// What its processes speak; [`Interface::Auto`] as long as none has said so.
    pub interface: Interface,
    /// Its processes, those on their way out included.
    pub processes: Vec<Process>,
    /// Requests that wait for a free thread: in Apache, and in processes that had none when they came.
    pub waiting: u32,
    /// Answers with a status of 1xx, 2xx, … 5xx.
    pub classes: [u64; 5],
    /// How long requests took.
    pub latency: Distribution,
    /// How long those have waited that did not get a process at once.
    pub waits: Distribution,
    /// Requests that no process has executed, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Processes that have ended, by reason.
    pub ended: Vec<(&'static str, u64)>,
    /// The WebSockets that Apache has granted or not; `None` of WSGI, which has none.
    pub websockets: Option<WebSockets>,
}

/// The WebSockets of a process group, as Apache counts them.
#[derive(Debug, Clone, Default)]
pub struct WebSockets {
    /// How many were granted.
    pub opened: u64,
    /// Those that were not granted, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Those that have ended, by code.
    pub closed: Vec<(&'static str, u64)>,
}

/// A daemon process.
#[derive(Debug, Clone)]
pub struct Process {
    /// What the process table says of it.
    pub status: ProcessStatus,
    /// Resident memory in bytes, where the system tells.
    pub resident: Option<u64>,
}

/// The condition of a process group, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The group answers requests, or, without threads, its script runs.
    Ready,
    /// The first process of the group is starting.
    Starting,
    /// The group has no process that could answer, nor one that starts.
    Down,
}

impl Condition {
    /// The word for it in the reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Down => "down",
        }
    }
}

impl Report {
    /// Makes a report about the server at this moment.
    pub fn gather(runtime: &Runtime) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let Some(table) = runtime.table else { return Self { time, started: time, ..Self::default() } };
        let header = table.header();
        let mut groups: Vec<Group> =
            runtime.groups.iter().map(|(name, group)| Group::gather(name, group, table.slots(group.pages))).collect();
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            time,
            started: header.started.load(Relaxed),
            generation: header.generation.load(Relaxed),
            supervisor: (!groups.is_empty()).then(|| process::exists(header.supervisor.load(Relaxed))),
            groups,
        }
    }
}

impl Group {
    fn gather<'t>(name: &[u8], group: &daemons::Group, slots: impl Iterator<Item = Slot<'t>>) -> Self {
        let record = group.relay.record;
        let own = |slot: &Slot<'_>| slot.is_of(group.relay.key) && slot.state() != State::Free;
        let slots: Vec<Slot<'_>> = slots.filter(own).collect();
        let interface = group.speaks().unwrap_or(Interface::Auto);
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            wanted: group.processes,
            threads_each: group.requests_each(),
            interface,
            waiting: queue::waiting(&record.queue) + slots.iter().map(|slot| slot.waiting()).sum::<u32>(),
            processes: slots.into_iter().map(Process::of).collect(),
            classes: record.classes(),
            latency: record.latency().read(),
            waits: record.waits.read(),
            refused: Refusal::all().map(|why| (why.name(), record.refusals(why))).collect(),
            ended: Ending::all().map(|ending| (ending.name(), record.endings.count(ending))).collect(),
            websockets: (interface != Interface::Wsgi).then(|| WebSockets::of(&record.websocket_counts)),
        }
    }

    /// How many of its processes are in this state.
    pub fn count(&self, state: State) -> usize {
        self.processes.iter().filter(|process| process.status.state == state).count()
    }

    /// The sum of a number of all its processes that take requests.
    pub fn sum(&self, number: impl Fn(&Process) -> u32) -> u32 {
        self.processes
            .iter()
            .filter(|process| process.status.state == State::Ready)
            .map(number)
            .fold(0, u32::saturating_add)
    }

    /// The sum of a number of all its processes, those on their way out included. What they say of themselves may be
    /// any number.
    pub fn all(&self, number: impl Fn(&ProcessStatus) -> u32) -> u32 {
        self.processes.iter().map(|process| number(&process.status)).fold(0, u32::saturating_add)
    }

    /// Requests that are being executed, in processes on their way out too.
    pub fn busy(&self) -> u32 {
        self.all(|status| status.busy)
    }

    /// Whether its processes have event loops.
    pub fn is_asgi(&self) -> bool {
        self.interface == Interface::Asgi
    }

    /// The condition of the group, from the states of its processes.
    pub fn condition(&self) -> Condition {
        // The process of a service is never ready, because there is nothing for it to be ready for.
        let service = self.threads_each == 0;
        let ready = self.count(State::Ready) > 0;
        let starting = self.count(State::Starting) + self.count(State::Reloading) > 0;
        match (ready || service && starting, starting) {
            (true, _) => Condition::Ready,
            (false, true) => Condition::Starting,
            (false, false) => Condition::Down,
        }
    }
}

impl WebSockets {
    fn of(counted: &table::WebSocketCounts) -> Self {
        Self {
            opened: counted.opened(),
            refused: Denial::all().map(|why| (why.name(), counted.refusals(why))).collect(),
            closed: websocket_counts::CODES.into_iter().zip(counted.closes()).collect(),
        }
    }
}

impl Process {
    fn of(slot: Slot<'_>) -> Self {
        let status = ProcessStatus::of(slot);
        let resident = resident(status.pid);
        Self { status, resident }
    }
}

#[cfg(test)]
pub mod example {
    //! Reports for the tests of the modules that render them.

    use std::time::Duration;

    use wsgi_wire::status::Durations;
    use wsgi_wire::table::histogram::Histogram;

    use super::*;

    /// A process in this state.
    pub fn process(pid: u32, state: State) -> Process {
        let status = ProcessStatus {
            pid,
            state,
            started: 900,
            generation: 1,
            threads: 5,
            busy: 2,
            in_flight: 3,
            requests: 40,
            websockets: 1,
            background: 0,
            messages_in: 7,
            messages_out: 9,
            lag: Durations::default(),
        };
        Process { status, resident: Some(8192) }
    }

    /// A server with one group of this name, whose processes have event loops.
    pub fn asgi_report(name: &str) -> Report {
        let mut report = report(name);
        for group in &mut report.groups {
            group.interface = Interface::Asgi;
            group.websockets = Some(WebSockets::of(&table::WebSocketCounts::default()));
        }
        report
    }

    /// A server with one group of this name.
    pub fn report(name: &str) -> Report {
        let latency = Histogram::default();
        for millis in [1, 3, 100] {
            latency.add(Duration::from_millis(millis));
        }
        let group = Group {
            name: name.to_owned(),
            wanted: 2,
            threads_each: 5,
            processes: vec![process(10, State::Ready), process(11, State::Starting)],
            waiting: 4,
            classes: [0, 2, 0, 0, 1],
            latency: latency.read(),
            refused: vec![("queue_full", 7), ("not_ready", 0)],
            ended: vec![("crash", 1), ("script_reload", 0)],
            ..Group::default()
        };
        Report { time: 1000, started: 500, generation: 1, supervisor: Some(true), groups: vec![group] }
    }
}

#[cfg(test)]
mod tests {
    use super::example::process;
    use super::*;

    #[test]
    fn a_group_is_ready_while_one_of_its_processes_is() {
        let group = |states: &[State], threads_each| Group {
            threads_each,
            processes: states.iter().map(|state| process(1, *state)).collect(),
            ..Group::default()
        };
        for (states, threads, condition) in [
            (&[State::Draining, State::Ready][..], 5, Condition::Ready),
            (&[State::Draining, State::Starting], 5, Condition::Starting),
            (&[State::Reloading], 5, Condition::Starting),
            (&[State::Draining], 5, Condition::Down),
            (&[], 5, Condition::Down),
            (&[State::Starting], 0, Condition::Ready),
            (&[], 0, Condition::Down),
        ] {
            assert_eq!(group(states, threads).condition(), condition, "{states:?} {threads}");
        }
    }

    #[test]
    fn memory_is_that_of_the_process() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(resident(0), None);
    }
}
