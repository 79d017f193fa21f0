//! What comes from daemon processes: nothing, on Windows.
#![forbid(unsafe_code)]

/// The memory for what comes, which is nothing.
#[derive(Debug, Default)]
pub struct Inbox;

impl Inbox {
    /// Has nothing to forget.
    pub fn clear(&mut self) {}
}
