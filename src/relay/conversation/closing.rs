//! How a conversation goes on when its client sends nothing more.
#![forbid(unsafe_code)]

/// What is known of a client that sends nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// It has not been seen to close.
    Unseen,
    /// It has, before its body was given to the process, of which as much was read ahead as there is room for: it has
    /// not been seen to break off.
    Seen,
    /// The process has been told.
    Told,
}
