//! What requests and the process have cost: for the `request_finished` event and the metrics functions of the module `mod_wsgi`.

pub(crate) mod interval;
pub(crate) mod phase;

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pyo3::Python;
use pyo3::sync::MutexExt;

use crate::ffi::process as ffi;
use crate::gateway::environ::{self, Moments};
use crate::request::Counts;
use interval::Interval;

/// The beginning of an application's call.
pub(crate) struct Sample {
    start: Instant,
    cpu: Option<(Duration, Duration)>,
}

/// A request that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    /// When the application was done, seconds since the epoch.
    pub(crate) finish: f64,
    /// How long it took, `close()` included.
    pub(crate) application: Duration,
    /// What the client got.
    pub(crate) status: u16,
    /// What it moved.
    pub(crate) counts: Counts,
    /// CPU time of the thread in user mode.
    pub(crate) cpu_user: Duration,
    /// CPU time of the thread in the kernel.
    pub(crate) cpu_system: Duration,
    moments: Moments,
}

impl Finished {
    /// How long it was in the Apache child, on its way to this process, and here before the application was called.
    fn phases(&self) -> [Duration; 3] {
        let m = &self.moments;
        let between = |from: f64, to: f64| Duration::try_from_secs_f64(to - from).unwrap_or_default();
        if m.queue_start == 0.0 {
            // In embedded mode it is called where it was received.
            return [between(m.request_start, m.application_start), Duration::ZERO, Duration::ZERO];
        }
        [
            between(m.request_start, m.queue_start),
            between(m.queue_start, m.daemon_start),
            between(m.daemon_start, m.application_start),
        ]
    }
}

impl Sample {
    /// Now. The thread's CPU time is only looked up if somebody wants it.
    pub(crate) fn begin(with_cpu: bool) -> Self {
        Self { start: Instant::now(), cpu: with_cpu.then(ffi::thread_cpu) }
    }

    /// The application is done.
    pub(crate) fn end(&self, moments: &Moments, status: u16, counts: Counts) -> Finished {
        let since = |(user, system): (Duration, Duration)| {
            let now = ffi::thread_cpu();
            (now.0.saturating_sub(user), now.1.saturating_sub(system))
        };
        let (cpu_user, cpu_system) = self.cpu.map(since).unwrap_or_default();
        Finished {
            finish: environ::now(),
            application: self.start.elapsed(),
            status,
            counts,
            cpu_user,
            cpu_system,
            moments: *moments,
        }
    }
}

/// What one worker has done since the process began.
#[derive(Debug, Default)]
struct Worker {
    requests: AtomicU64,
    nanoseconds: AtomicU64,
    /// When the application was called that runs now, in nanoseconds since [`Metrics::epoch`], never 0; 0: none does.
    since: AtomicU64,
}

/// A worker's sums.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Total {
    /// Requests.
    pub(crate) requests: u64,
    /// How long they took.
    pub(crate) busy: Duration,
}

/// What has been recorded.
pub(crate) struct Metrics {
    epoch: Instant,
    workers: Vec<Worker>,
    /// What `request_metrics()` will give; nothing before recording is started.
    interval: Mutex<Option<Interval>>,
    recording: AtomicBool,
    /// All requests that are over.
    pub(crate) finished: AtomicU64,
    /// Requests whose application is being called.
    pub(crate) active: AtomicU32,
}

impl Metrics {
    /// Nothing yet, for this many workers.
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

    /// For how long each worker has been calling the application; zero if it is not.
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

    /// Whether anything is recorded.
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Acquire)
    }

    fn begin(&self) -> Interval {
        Interval::new(self.workers.len(), environ::now(), ffi::process_cpu())
    }

    fn lock(&self, py: Python<'_>) -> std::sync::MutexGuard<'_, Option<Interval>> {
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

    /// The sums since the last call, and a new beginning.
    pub(crate) fn drain(&self, py: Python<'_>) -> Option<Interval> {
        let mut interval = self.lock(py);
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
