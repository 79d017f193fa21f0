//! The measurement of one call of an application, and what it gives.

use std::time::{Duration, Instant};

use wsgi_unix::usage;

use crate::metrics::counts::Counts;
use crate::moments::{Moments, now};

/// The beginning of an application's call.
pub(crate) struct Sample {
    pub(super) start: Instant,
    cpu: Option<(Duration, Duration)>,
}

/// The measurements of a request that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    /// When the application was done, seconds since the epoch.
    pub(crate) finish: f64,
    /// How long the application took, `close()` included.
    pub(crate) application: Duration,
    /// The status that the client got.
    pub(crate) status: u16,
    /// The counts of the request.
    pub(crate) counts: Counts,
    /// CPU time of the thread in user mode.
    pub(crate) cpu_user: Duration,
    /// CPU time of the thread in the kernel.
    pub(crate) cpu_system: Duration,
    moments: Moments,
}

impl Finished {
    /// How long the request was in the Apache child, on its way to this process, and here before the application was
    /// called.
    pub(super) fn phases(&self) -> [Duration; 3] {
        self.moments.phases()
    }
}

impl Sample {
    /// Begins a measurement. The thread's CPU time is only looked up `with_cpu`.
    pub(crate) fn begin(with_cpu: bool) -> Self {
        Self { start: Instant::now(), cpu: with_cpu.then(usage::thread_cpu) }
    }

    /// Ends the measurement, when the application is done.
    pub(crate) fn end(&self, moments: &Moments, status: u16, counts: Counts) -> Finished {
        let since = |(user, system): (Duration, Duration)| {
            let now = usage::thread_cpu();
            (now.0.saturating_sub(user), now.1.saturating_sub(system))
        };
        let (cpu_user, cpu_system) = self.cpu.map(since).unwrap_or_default();
        Finished {
            finish: now(),
            application: self.start.elapsed(),
            status,
            counts,
            cpu_user,
            cpu_system,
            moments: *moments,
        }
    }
}
