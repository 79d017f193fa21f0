//! The memory that a thread needs for a request, and keeps for the next one.
#![forbid(unsafe_code)]

use super::inbox::Inbox;

/// Memory that a thread uses again for each of its requests.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The content of the request's route.
    pub route: Vec<u8>,
    /// A request body that travels inline.
    pub body: Vec<u8>,
    /// What is sent for a request.
    pub message: Vec<u8>,
    pub(super) inbox: Inbox,
}

impl Scratch {
    /// Forgets one request; keeps the memory for the next one.
    pub fn clear(&mut self) {
        self.route.clear();
        self.body.clear();
        self.message.clear();
        self.inbox.clear();
    }
}
