//! How far the response of an exchange is.

/// The stage of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Nothing of the response is known.
    Before,
    /// The head is known, and has not left.
    Started,
    /// The head has left.
    Committed,
    /// All content has been given, and header lines are to follow it.
    Trailing,
    /// The WebSocket has been accepted.
    Open,
    /// The response has ended.
    Over,
}
