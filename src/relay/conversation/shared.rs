//! Content that comes through memory, which process and child share.
#![forbid(unsafe_code)]

use wsgi_wire::frame::{self, Kind};

use super::{Conversation, Step};
use crate::relay::client::{Client, SendError};
use crate::relay::outcome::Outcome;
use crate::relay::outflow;
use crate::relay::ring::Ring;
use crate::relay::violation::Violation;

impl<C: Client> Conversation<'_, C> {
    /// Takes the memory whose descriptor has come.
    pub(super) fn take_ring(&mut self) -> Result<(), Violation> {
        let descriptor = self.inbox.descriptor().ok_or(Violation::NoDescriptor)?;
        self.connection.ring.set(Ring::new(descriptor)?).map_err(|_| Violation::OutOfPlace(Kind::Ring))
    }

    /// Passes down content that is said to be in it. `ends`: the end of the whole response follows, which is there
    /// already.
    pub(super) fn take_filled(&mut self, length: u32, ends: bool) -> Result<Step, SendError> {
        let ring = self.connection.ring.get().ok_or(Violation::OutOfPlace(Kind::Filled))?;
        let content = ring.filled(length)?;
        if ends && self.is_flowing() {
            (self.limits.done)();
            outflow::pass_whole(self.client, content)?;
            // The end, beside the frame that the caller drops.
            self.inbox.consume(frame::HEADER + 1);
            return Ok(Step::Over(Outcome::Complete));
        }
        self.progressed = true;
        self.outflow.filled(self.client, content, self.stuck.is_some())?;
        content.take();
        (self.unsent, self.unpassed) = (true, false);
        Ok(Step::On)
    }
}
