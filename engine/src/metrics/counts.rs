//! What one request moves, counted while it runs.

use std::time::Duration;

/// The counts of one request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Calls that read from `wsgi.input`.
    pub(crate) input_reads: u64,
    /// How many bytes these calls returned.
    pub(crate) input_length: u64,
    /// How long these calls waited for the client.
    pub(crate) input_time: Duration,
    /// How many pieces of content were sent.
    pub(crate) output_writes: u64,
    /// How many bytes these pieces had.
    pub(crate) output_length: u64,
    /// How long sending took.
    pub(crate) output_time: Duration,
    /// How long the request waited for the GIL.
    pub(crate) gil_time: Duration,
    /// How often the request waited for the GIL.
    pub(crate) gil_waits: u64,
}
