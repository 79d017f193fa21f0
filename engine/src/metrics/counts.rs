//! What one request moves, counted while it runs.

use std::time::Duration;

/// What a request moved.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Calls that read from `wsgi.input`.
    pub(crate) input_reads: u64,
    /// Bytes they gave.
    pub(crate) input_length: u64,
    /// How long they waited.
    pub(crate) input_time: Duration,
    /// Pieces of content.
    pub(crate) output_writes: u64,
    /// Their bytes.
    pub(crate) output_length: u64,
    /// How long sending took.
    pub(crate) output_time: Duration,
    /// How long the GIL was waited for.
    pub(crate) gil_time: Duration,
    /// How often.
    pub(crate) gil_waits: u64,
}
