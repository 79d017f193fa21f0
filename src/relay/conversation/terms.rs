//! What a conversation keeps to.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::relay::records::Source;

/// The limits that a conversation keeps to, and who hears of its progress.
pub struct ConversationLimits<'c> {
    /// `response-flush-delay`: how long to wait for more before what is there is sent to the client.
    pub flush_delay: Duration,
    /// `queue-timeout`: when the process must have read the request.
    pub queue: Option<Instant>,
    /// `socket-timeout`: how long the process may be silent; zero is without end.
    pub silence: Duration,
    /// Is called when the answer begins.
    pub answered: &'c dyn Fn(),
    /// The process that logs, and how much it may log.
    pub source: Source<'c>,
    /// Is called when the answer has come to its end, before that is sent to the client.
    pub done: &'c dyn Fn(),
    /// Tells whether the process has ended.
    pub ended: &'c dyn Fn() -> bool,
    /// Whether both sides speak at any time, as in ASGI.
    pub duplex: bool,
}
