//! The figures of an interval that is over: shares and rates.

use wsgi_unix::usage;

use crate::metrics::Metrics;
use crate::metrics::interval::Interval;

/// An interval that is over, in figures.
pub(crate) struct Figures {
    /// How long it lasted, seconds.
    pub(crate) period: f64,
    /// CPU time in user mode for each second of it.
    pub(crate) cpu_user: f64,
    /// CPU time in the kernel for each second of it.
    pub(crate) cpu_system: f64,
    /// The resident memory at the end, bytes.
    pub(crate) memory: u64,
    /// The most resident memory so far, bytes.
    pub(crate) max_memory: u64,
    /// How long each worker has been calling the application, seconds; 0 if it is not.
    pub(crate) elapsed: Vec<f64>,
    /// How many workers call the application.
    pub(crate) active: usize,
    /// How many workers have served anything.
    pub(crate) started: usize,
    /// The share of all workers' time that requests took, 0 to 1.
    pub(crate) capacity: f64,
}

impl Figures {
    /// Computes the figures of an interval that ends now.
    pub(crate) fn new(interval: &Interval, metrics: &Metrics) -> Self {
        let period = interval.start.elapsed().as_secs_f64().max(1e-6);
        let (user, system) = usage::process_cpu();
        let elapsed: Vec<f64> = metrics.elapsed().iter().map(std::time::Duration::as_secs_f64).collect();
        let busy =
            interval.workers.iter().zip(&elapsed).map(|(worker, now)| worker.busy.as_secs_f64() + now.min(period));
        let threads = interval.workers.len().max(1);
        Self {
            cpu_user: (user - interval.cpu.0.min(user)).as_secs_f64() / period,
            cpu_system: (system - interval.cpu.1.min(system)).as_secs_f64() / period,
            memory: usage::memory(),
            max_memory: usage::max_memory(),
            capacity: (busy.sum::<f64>() / (period * threads as f64)).min(1.0),
            active: elapsed.iter().filter(|elapsed| **elapsed > 0.0).count(),
            started: metrics.started_threads(),
            elapsed,
            period,
        }
    }
}
