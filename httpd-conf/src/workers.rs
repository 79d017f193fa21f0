//! How many processes and threads Apache itself gets: the formulas of mod_wsgi-express, with more threads for the MPM
//! event.

use crate::block::Block;

/// How many connections may wait or be idle beside those that the application works on.
const MARGIN: u64 = 10;
/// How many threads a child process of the MPM worker should have at the most, about.
const THREADS_PER_CHILD: u64 = 20;
/// The same for the MPM event, which without `--max-clients` has so many at the least: a thread costs it next to
/// nothing, but with few of them it closes connections that clients would use again, and requests change processes and
/// their caches more often.
const THREADS_PER_EVENT_CHILD: u64 = 32;

/// Apache's own `AsyncRequestWorkerFactor`.
const USUAL_FACTOR: u64 = 2;

/// How many configurations may have children at a time: the one in force, and earlier ones, whose requests go on after
/// graceful restarts.
const GENERATIONS: u64 = 4;

/// A multi-processing module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mpm {
    /// The MPM event: threads, with idle connections parked.
    Event,
    /// The MPM worker: threads, one for each connection.
    Worker,
    /// The MPM prefork: processes.
    Prefork,
}

impl Mpm {
    /// All MPMs, the best first.
    pub const ALL: [Self; 3] = [Self::Event, Self::Worker, Self::Prefork];

    /// The name that Apache has for it, without `mpm_`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Worker => "worker",
            Self::Prefork => "prefork",
        }
    }
}

/// The parts of the capacity that are started, and kept spare; each from 0 to 1, `None` for the usual one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fractions {
    /// The value of `--initial-workers`.
    pub initial: Option<f64>,
    /// The value of `--minimum-spare-workers`.
    pub minimum_spare: Option<f64>,
    /// The value of `--maximum-spare-workers`.
    pub maximum_spare: Option<f64>,
}

/// The numbers of processes and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// How many threads a child has; 1 for prefork.
    pub threads_per_child: u64,
    /// How many children there may be.
    pub server_limit: u64,
    /// How many connections there may be at a time.
    pub max_workers: u64,
    /// How many children are started.
    pub start_servers: u64,
    /// How many idle workers are kept at least.
    pub minimum_spare: u64,
    /// How many idle workers are kept at the most.
    pub maximum_spare: u64,
    /// How many connections a child serves before it is replaced; 0 for any number.
    pub connections_per_child: u64,
    /// Whether children of former configurations may have workers beyond the most, where the MPM counts both together.
    pub has_room: bool,
    /// How many connections a child of the MPM event may have for each idle thread, beside those that threads work on;
    /// `None` for Apache's own number, 2.
    pub connection_factor: Option<u64>,
}

/// `part` of `whole`, rounded down, as the formulas want it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small counts")]
fn share(part: f64, whole: u64) -> u64 {
    (part * whole as f64) as u64
}

impl Sizes {
    /// Sizes for an application that handles `capacity` (processes × threads) requests at once.
    ///
    /// `max_clients` is raised to the capacity; without it there is room for half as many again, and for ten at least.
    pub fn new(mpm: Mpm, capacity: u64, max_clients: Option<u64>, fractions: Fractions) -> Self {
        let clients = match max_clients {
            Some(n) => n.max(capacity),
            None => MARGIN + MARGIN.max(capacity.saturating_mul(3) / 2),
        };
        let sizes = match mpm {
            Mpm::Prefork => Self::prefork(clients, fractions),
            Mpm::Worker => {
                let children = clients / THREADS_PER_CHILD + 1;
                let threads = if clients > THREADS_PER_CHILD { clients / children } else { MARGIN };
                Self::threaded(clients, threads, fractions)
            }
            Mpm::Event => {
                let clients = if max_clients.is_none() { clients.max(THREADS_PER_EVENT_CHILD) } else { clients };
                let children = clients.div_ceil(THREADS_PER_EVENT_CHILD);
                let sizes = Self::threaded(clients, clients.div_ceil(children).max(MARGIN), fractions);
                // Of a single child all threads are there from the beginning; httpd warns of a minimum that is as high
                // as the maximum.
                Self { minimum_spare: if sizes.server_limit == 1 { 1 } else { sizes.minimum_spare }, ..sizes }
            }
        };
        // Who names a number of clients means it.
        Self { has_room: max_clients.is_none(), ..sizes }
    }

    /// Sizes that give the application in Apache's own processes exactly `processes` × `threads`.
    ///
    /// `connections_per_child` replaces a process when it has served so many connections; 0: it is not replaced.
    pub fn embedded(mpm: Mpm, processes: u64, threads: u64, connections_per_child: u64) -> Self {
        let all = processes.saturating_mul(threads);
        let (children, threads_per_child) = if mpm == Mpm::Prefork { (all, 1) } else { (processes, threads) };
        Self {
            threads_per_child,
            server_limit: children,
            max_workers: all,
            start_servers: children,
            minimum_spare: all,
            maximum_spare: all,
            connections_per_child,
            has_room: false,
            connection_factor: None,
        }
    }

    /// The connections for each idle thread with which the children of the MPM event can hold so many WebSockets. They
    /// may be half of these connections: a child with half of its threads busy has to accept others, too.
    pub fn factor(&self, mpm: Mpm, websockets: u64) -> Option<u64> {
        let factor = websockets.saturating_mul(2).div_ceil(self.max_workers.max(1));
        (mpm == Mpm::Event && factor > USUAL_FACTOR).then_some(factor)
    }

    fn prefork(clients: u64, fractions: Fractions) -> Self {
        let initial = fractions.initial.unwrap_or(0.05);
        Self {
            threads_per_child: 1,
            server_limit: clients,
            max_workers: clients,
            start_servers: share(initial, clients).max(1),
            minimum_spare: share(fractions.minimum_spare.unwrap_or(initial), clients).max(1),
            maximum_spare: share(fractions.maximum_spare.unwrap_or(0.1), clients).max(1),
            connections_per_child: 0,
            has_room: true,
            connection_factor: None,
        }
    }

    fn threaded(clients: u64, threads: u64, fractions: Fractions) -> Self {
        let limit = clients.div_ceil(threads);
        let initial = fractions.initial.unwrap_or(0.2);
        let spare = |part| (share(part, limit) * threads).max(threads);
        Self {
            threads_per_child: threads,
            server_limit: limit,
            max_workers: limit * threads,
            start_servers: share(initial, limit).max(1),
            minimum_spare: spare(fractions.minimum_spare.unwrap_or(initial)),
            maximum_spare: spare(fractions.maximum_spare.unwrap_or(0.6)),
            connections_per_child: 0,
            has_room: true,
            connection_factor: None,
        }
    }

    pub(crate) fn write(&self, mpm: Mpm, out: &mut Block) {
        out.comment(
            "Apache's own processes and threads (--max-clients, --initial-workers, --minimum-spare-workers ...)",
        );
        // Old children have places of their own, or else new ones wait for the slowest of their requests. The MPM event
        // keeps to MaxRequestWorkers nonetheless. The others count the workers of old children, too, and have to be
        // allowed more: what the application gets of them at a time is bounded by worker-limit.
        let places = if mpm == Mpm::Event || self.has_room { GENERATIONS } else { 1 };
        let workers = if mpm == Mpm::Event { self.max_workers } else { self.max_workers.saturating_mul(places) };
        out.set("ServerLimit", self.server_limit.saturating_mul(places));
        if mpm == Mpm::Prefork {
            out.set("MaxRequestWorkers", workers);
            out.set("StartServers", self.start_servers);
            out.set("MinSpareServers", self.minimum_spare);
            out.set("MaxSpareServers", self.maximum_spare);
        } else {
            out.set("ThreadLimit", self.threads_per_child);
            out.set("ThreadsPerChild", self.threads_per_child);
            out.set("MaxRequestWorkers", workers);
            out.set("StartServers", self.start_servers);
            out.set("MinSpareThreads", self.minimum_spare);
            out.set("MaxSpareThreads", self.maximum_spare);
        }
        out.set("MaxConnectionsPerChild", self.connections_per_child);
        if let Some(factor) = self.connection_factor {
            out.set("AsyncRequestWorkerFactor", factor);
        }
        // An idle connection costs event nothing, the others a whole worker.
        out.set("MaxKeepAliveRequests", if mpm == Mpm::Event { "0" } else { "500" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checked against mod_wsgi-express 6.1.1.
    #[test]
    fn same_sizes_as_mod_wsgi_express() {
        type Row = (u64, Option<u64>, [u64; 4], [u64; 6]);
        let table: [Row; 8] = [
            (5, None, [20, 1, 1, 2], [10, 2, 20, 1, 10, 10]),
            (15, None, [32, 1, 1, 3], [16, 2, 32, 1, 16, 16]),
            (30, None, [55, 2, 2, 5], [18, 4, 72, 1, 18, 36]),
            (20, None, [40, 2, 2, 4], [13, 4, 52, 1, 13, 26]),
            (100, None, [160, 8, 8, 16], [17, 10, 170, 2, 34, 102]),
            (512, None, [778, 38, 38, 77], [19, 41, 779, 8, 152, 456]),
            (5, Some(100), [100, 5, 5, 10], [16, 7, 112, 1, 16, 64]),
            (5, Some(3), [5, 1, 1, 1], [10, 1, 10, 1, 10, 10]),
        ];
        for (capacity, clients, prefork, threaded) in table {
            let s = Sizes::new(Mpm::Prefork, capacity, clients, Fractions::default());
            assert_eq!([s.max_workers, s.start_servers, s.minimum_spare, s.maximum_spare], prefork);
            assert_eq!(s.server_limit, s.max_workers);
            assert_eq!(all(Mpm::Worker, capacity, clients), threaded);
        }
    }

    fn all(mpm: Mpm, capacity: u64, clients: Option<u64>) -> [u64; 6] {
        let s = Sizes::new(mpm, capacity, clients, Fractions::default());
        [s.threads_per_child, s.server_limit, s.max_workers, s.start_servers, s.minimum_spare, s.maximum_spare]
    }

    #[test]
    fn children_of_the_mpm_event_have_room_for_all_websockets() {
        let sizes = Sizes::new(Mpm::Event, 320, Some(320), Fractions::default());
        for (websockets, factor) in [(0, None), (320, None), (321, Some(3)), (10_000, Some(63))] {
            assert_eq!(sizes.factor(Mpm::Event, websockets), factor, "{websockets}");
        }
        assert_eq!(sizes.factor(Mpm::Worker, 10_000), None);
    }

    #[test]
    fn the_mpm_event_has_few_children_of_many_threads_and_as_many_clients_as_were_asked_for() {
        let table = [
            (5, None, [32, 1, 32, 1, 1, 32]),
            (15, None, [32, 1, 32, 1, 1, 32]),
            (30, None, [28, 2, 56, 1, 28, 28]),
            (100, None, [32, 5, 160, 1, 32, 96]),
            (5, Some(100), [25, 4, 100, 1, 25, 50]),
            (5, Some(20), [20, 1, 20, 1, 1, 20]),
            (5, Some(3), [10, 1, 10, 1, 1, 10]),
        ];
        for (capacity, clients, sizes) in table {
            assert_eq!(all(Mpm::Event, capacity, clients), sizes, "{capacity} {clients:?}");
        }
    }
}
