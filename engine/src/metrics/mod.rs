//! What requests and the process have cost: for the `request_finished` event and the metrics functions of the module
//! `mod_wsgi`.
//!
//! Knows numbers only. Must not know requests, nor the dicts that applications get, which `api` makes.

mod computing;
pub(crate) mod counts;
pub(crate) mod figures;
pub(crate) mod interval;
pub(crate) mod pace;
pub(crate) mod phase;
mod recent;
pub(crate) mod sample;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::Python;
use pyo3::sync::MutexExt;
use wsgi_unix::usage;

use crate::metrics::interval::Interval;
use crate::metrics::sample::{Finished, Sample};
use crate::moments::now;

/// What one worker has done since the process began.
#[derive(Debug, Default)]
struct Worker {
    requests: AtomicU64,
    nanoseconds: AtomicU64,
    /// When the worker called the application that runs now, in nanoseconds since [`Metrics::epoch`], never 0; 0 if
    /// none runs.
    since: AtomicU64,
}

/// The sums of one worker thread since the process began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Total {
    /// How many requests the thread has finished.
    pub(crate) requests: u64,
    /// How long these requests took.
    pub(crate) busy: Duration,
}

/// The records of what requests and the process have cost.
pub(crate) struct Metrics {
    epoch: Instant,
    workers: Vec<Worker>,
    /// The sums that `request_metrics()` will give next; `None` before recording is started.
    interval: Mutex<Option<Interval>>,
    recording: AtomicBool,
    /// How many requests are over.
    pub(crate) finished: AtomicU64,
    /// How many requests' applications are being called.
    pub(crate) active: AtomicU32,
}

impl Metrics {
    /// Makes empty records for this many workers.
    pub(crate) fn new(workers: usize) -> Self {
        let workers = (0..workers).map(|_| Worker::default()).collect();
        Self {
            epoch: Instant::now(),
            workers,
            interval: Mutex::new(None),
            recording: false.into(),
            finished: 0.into(),
            active: 0.into(),
        }
    }

    /// Notes that this worker, counted from 1, calls the application.
    pub(crate) fn began(&self, worker: u32, sample: &Sample) {
        self.active.fetch_add(1, Ordering::Relaxed);
        if let Some(worker) = self.workers.get(worker as usize - 1) {
            let since = sample.start.saturating_duration_since(self.epoch).as_nanos() as u64;
            worker.since.store(since.max(1), Ordering::Relaxed);
        }
    }

    /// How long each worker has been calling the application; zero if it is not.
    pub(crate) fn elapsed(&self) -> Vec<Duration> {
        let now = self.epoch.elapsed();
        let elapsed = |worker: &Worker| match worker.since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => now.saturating_sub(Duration::from_nanos(since)).max(Duration::from_nanos(1)),
        };
        self.workers.iter().map(elapsed).collect()
    }

    /// Begins to record, if that has not happened yet.
    pub(crate) fn start(&self, py: Python<'_>) {
        self.lock(py).get_or_insert_with(|| self.begin());
        self.recording.store(true, Ordering::Release);
    }

    /// Whether requests are recorded.
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Acquire)
    }

    fn begin(&self) -> Interval {
        Interval::new(self.workers.len(), now(), usage::process_cpu())
    }

    fn lock(&self, py: Python<'_>) -> MutexGuard<'_, Option<Interval>> {
        // Sums stay sums, whoever panicked.
        self.interval.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request that this worker, counted from 1, has finished.
    pub(crate) fn record(&self, py: Python<'_>, worker: u32, finished: &Finished) {
        let at = worker as usize - 1;
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.finished.fetch_add(1, Ordering::Relaxed);
        if let Some(worker) = self.workers.get(at) {
            worker.since.store(0, Ordering::Relaxed);
            worker.requests.fetch_add(1, Ordering::Relaxed);
            worker.nanoseconds.fetch_add(finished.application.as_nanos() as u64, Ordering::Relaxed);
        }
        if self.is_recording() {
            if let Some(interval) = self.lock(py).as_mut() {
                interval.add(at, finished);
            }
        }
    }

    /// Returns the sums since the last call, and begins anew.
    pub(crate) fn drain(&self, py: Python<'_>) -> Option<Interval> {
        self.next_interval(self.lock(py))
    }

    /// Drains as [`drain`](Self::drain) does, on a thread that is attached to nothing.
    pub(crate) fn drain_detached(&self) -> Option<Interval> {
        self.next_interval(self.interval.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next_interval(&self, mut interval: MutexGuard<'_, Option<Interval>>) -> Option<Interval> {
        interval.is_some().then(|| interval.replace(self.begin())).flatten()
    }

    /// What each worker has done since the process began.
    pub(crate) fn totals(&self) -> Vec<Total> {
        let total = |worker: &Worker| Total {
            requests: worker.requests.load(Ordering::Relaxed),
            busy: Duration::from_nanos(worker.nanoseconds.load(Ordering::Relaxed)),
        };
        self.workers.iter().map(total).collect()
    }

    /// How many workers have served anything.
    pub(crate) fn started_threads(&self) -> usize {
        self.totals().iter().filter(|total| total.requests > 0).count()
    }
}
