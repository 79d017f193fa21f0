//! What requests and the process have cost: for the `request_finished` event and the metrics functions of the module `mod_wsgi`.

use std::time::{Duration, Instant};

use pyo3::exceptions::PyNotImplementedError;
use pyo3::{Bound, PyAny, PyResult, Python};

use crate::environ::{self, Moments};
use crate::process::Process;
use crate::request::Counts;

/// The beginning of an application's call.
pub(crate) struct Sample {
    start: Instant,
    cpu: (Duration, Duration),
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
    /// The moments before.
    pub(crate) moments: Moments,
}

impl Sample {
    /// Now.
    pub(crate) fn begin() -> Self {
        Self { start: Instant::now(), cpu: crate::ffi::process::thread_cpu() }
    }

    /// The application is done.
    pub(crate) fn end(&self, moments: &Moments, status: u16, counts: Counts) -> Finished {
        let (user, system) = crate::ffi::process::thread_cpu();
        Finished {
            finish: environ::now(),
            application: self.start.elapsed(),
            status,
            counts,
            cpu_user: user.saturating_sub(self.cpu.0),
            cpu_system: system.saturating_sub(self.cpu.1),
            moments: *moments,
        }
    }
}

/// What has been recorded.
pub(crate) struct Metrics {
    _threads: usize,
}

impl Metrics {
    /// Nothing yet.
    pub(crate) fn new(threads: usize) -> Self {
        Self { _threads: threads }
    }
    pub(crate) fn start(&self) {}
    pub(crate) fn record(&self, _worker: u32, _finished: &Finished) {}
}

pub(crate) fn request_metrics<'py>(_py: Python<'py>, _process: &Process) -> PyResult<Bound<'py, PyAny>> {
    Err(PyNotImplementedError::new_err("request_metrics() is not available yet"))
}
pub(crate) fn process_metrics<'py>(_py: Python<'py>, _process: &Process) -> PyResult<Bound<'py, PyAny>> {
    Err(PyNotImplementedError::new_err("process_metrics() is not available yet"))
}
