//! When things happened to a request, as applications see it: seconds since the epoch.

use wsgi_wire::request::Facts;

/// The moments of a request, in seconds since the epoch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moments {
    /// Apache began to read it.
    pub(crate) request_start: f64,
    /// The Apache child began to look for a process.
    pub(crate) queue_start: f64,
    /// This process took it up.
    pub(crate) daemon_start: f64,
    /// The application was called.
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
}

/// Seconds since the epoch.
pub(crate) fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
