//! The moments of a request's life, as applications see them: seconds since the epoch.

use std::time::Duration;

use wsgi_wire::request::Facts;

/// The moments of a request, in seconds since the epoch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    /// When Apache began to read the request.
    pub(crate) request_start: f64,
    /// When the Apache child began to look for a process.
    pub(crate) queue_start: f64,
    /// When this process took the request up.
    pub(crate) daemon_start: f64,
    /// When the application was called.
    pub(crate) application_start: f64,
}

impl Moments {
    /// The moments up to now.
    pub(crate) fn new(facts: &Facts) -> Self {
        let seconds = |microseconds: u64| microseconds as f64 / 1e6;
        // Where nothing was looked for, in embedded mode, there is no daemon that could take it up either.
        let queued = facts.queue_start > 0;
        Self {
            request_start: seconds(facts.request_start),
            queue_start: seconds(facts.queue_start),
            daemon_start: if queued { now() } else { 0.0 },
            application_start: 0.0,
        }
    }

    /// How long the request was in the Apache child, on its way to this process, and here before the application was
    /// called.
    pub(crate) fn phases(&self) -> [Duration; 3] {
        let between = |from: f64, to: f64| Duration::try_from_secs_f64(to - from).unwrap_or_default();
        if self.queue_start == 0.0 {
            // In embedded mode it is called where it was received.
            return [between(self.request_start, self.application_start), Duration::ZERO, Duration::ZERO];
        }
        [
            between(self.request_start, self.queue_start),
            between(self.queue_start, self.daemon_start),
            between(self.daemon_start, self.application_start),
        ]
    }
}

/// The current time, seconds since the epoch.
pub(crate) fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
