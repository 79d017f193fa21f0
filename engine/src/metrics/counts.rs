//! What one request moves, counted while it runs.

use std::time::Duration;

/// What a request moved.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Calls that read from `wsgi.input`.
    pub(crate) input_reads: u64,
    /// How many bytes they gave.
    pub(crate) input_length: u64,
    /// How long they waited for the client.
    pub(crate) input_time: Duration,
    /// How many pieces of content were sent.
    pub(crate) output_writes: u64,
    /// How many bytes they had.
    pub(crate) output_length: u64,
    /// How long sending took.
    pub(crate) output_time: Duration,
    /// How long the GIL was waited for.
    pub(crate) gil_time: Duration,
    /// How often it was waited for.
    pub(crate) gil_waits: u64,
}
