//! The sums of finished requests since `request_metrics()` was last called. Pure.

use std::time::{Duration, Instant};

use crate::metrics::phase::Phase;
use crate::metrics::sample::Finished;

/// The sums of one interval.
#[derive(Debug)]
pub(crate) struct Interval {
    /// When the interval began.
    pub(crate) start: Instant,
    /// The same, in seconds since the epoch.
    pub(crate) start_time: f64,
    /// CPU time of the process at its beginning, in user mode and in the kernel.
    pub(crate) cpu: (Duration, Duration),
    /// Requests by class of status: 1xx to 5xx.
    pub(crate) classes: [u64; 5],
    /// How many requests ended in the interval.
    pub(crate) count: u64,
    /// Bytes read and the calls for it, bytes written and the calls for it.
    pub(crate) moved: [u64; 4],
    /// How often the GIL was waited for.
    pub(crate) gil_waits: u64,
    /// The phases, in the order of [`PHASES`].
    pub(crate) phases: [Phase; PHASES.len()],
    /// The sums of each worker.
    pub(crate) workers: Vec<Work>,
}

/// Names of the phases in the dict that applications get.
pub(crate) const PHASES: [&str; 8] =
    ["server", "queue", "daemon", "application", "request", "gil_wait", "input_read", "output_write"];

/// The sums of one worker in an interval.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Work {
    /// How many requests the worker finished.
    pub(crate) completed: u64,
    /// How long these requests took, as far as that lies in the interval.
    pub(crate) busy: Duration,
    /// The CPU time that these requests took.
    pub(crate) cpu: Duration,
    /// How long the longest of them took.
    pub(crate) longest: Duration,
}

impl Interval {
    /// Begins an interval.
    pub(crate) fn new(workers: usize, start_time: f64, cpu: (Duration, Duration)) -> Self {
        Self {
            start: Instant::now(),
            start_time,
            cpu,
            classes: [0; 5],
            count: 0,
            moved: [0; 4],
            gil_waits: 0,
            phases: Default::default(),
            workers: vec![Work::default(); workers],
        }
    }

    /// Adds a request that worker number `worker` (from 0) has finished.
    pub(crate) fn add(&mut self, worker: usize, request: &Finished) {
        self.count += 1;
        if let Some(class) = usize::from(request.status / 100).checked_sub(1).and_then(|n| self.classes.get_mut(n)) {
            *class += 1;
        }
        let counts = &request.counts;
        for (sum, new) in self.moved.iter_mut().zip([
            counts.input_length,
            counts.input_reads,
            counts.output_length,
            counts.output_writes,
        ]) {
            *sum += new;
        }
        self.gil_waits += counts.gil_waits;
        let [server, queue, daemon] = request.phases();
        let durations = [
            server,
            queue,
            daemon,
            request.application,
            server + queue + daemon + request.application,
            counts.gil_time,
            counts.input_time,
            counts.output_time,
        ];
        for (phase, duration) in self.phases.iter_mut().zip(durations) {
            phase.add(duration);
        }
        let since_start = self.start.elapsed();
        if let Some(work) = self.workers.get_mut(worker) {
            work.completed += 1;
            work.busy += request.application.min(since_start);
            work.cpu += request.cpu_user + request.cpu_system;
            work.longest = work.longest.max(request.application);
        }
    }
}
