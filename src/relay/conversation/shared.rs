//! Content that comes through memory, which process and child share.
#![forbid(unsafe_code)]

use std::time::Instant;

use wsgi_wire::frame::{self, Kind};

use super::{Conversation, Step};
use crate::relay::client::{Client, SendError};
use crate::relay::outcome::Outcome;
use crate::relay::outflow;
use crate::relay::ring::{Filled, Ring};
use crate::relay::violation::Violation;

impl<C: Client> Conversation<'_, C> {
    /// Takes the memory whose descriptor has come.
    pub(super) fn take_ring(&mut self) -> Result<(), Violation> {
        let descriptor = self.inbox.descriptor().ok_or(Violation::NoDescriptor)?;
        self.connection.ring.set(Ring::new(descriptor)?).map_err(|_| Violation::OutOfPlace(Kind::Ring))
    }

    /// Passes down content that is said to be in it. `ends`: the end of the whole response follows, which is there
    /// already.
    pub(super) fn take_told(&mut self, length: u32, ends: bool) -> Result<Step, SendError> {
        let ring = self.connection.ring.get().ok_or(Violation::OutOfPlace(Kind::Filled))?;
        let Some(content) = ring.told(length)? else { return Ok(Step::On) };
        if ends && content.is_told() && self.is_flowing() {
            (self.limits.done)();
            outflow::pass_whole(self.client, content)?;
            // The end, beside the frame that the caller drops.
            self.inbox.consume(frame::HEADER + 1);
            return Ok(Step::Over(Outcome::Complete));
        }
        self.pass_filled(content)?;
        // Behind the first piece: a filter may have started a program for it.
        self.client.flows();
        Ok(Step::On)
    }

    /// Passes down content that is in it and has not been told of. Returns whether there was any: as long as there is,
    /// and the client takes it, this side need not wait for a frame. Where both sides speak at any time it reads frames
    /// in between, as the process may want something.
    pub(super) fn take_found(&mut self) -> Result<bool, SendError> {
        let Some(ring) = self.connection.ring.get() else { return Ok(false) };
        let last = self.limits.duplex || !self.is_flowing();
        let Some(content) = ring.find(last) else { return Ok(false) };
        self.pass_filled(content)?;
        self.heard = Instant::now();
        Ok(true)
    }

    /// Notes that content has come another way.
    pub(super) fn mix(&self) -> Result<(), Violation> {
        self.connection.ring.get().map_or(Ok(()), Ring::mix)
    }

    /// Checks, at the end of the response, that the process has told of all that was found.
    pub(super) fn check_told(&self) -> Result<(), Violation> {
        self.connection.ring.get().map_or(Ok(()), Ring::check_told)
    }

    fn pass_filled(&mut self, content: Filled<'_>) -> Result<(), SendError> {
        self.progressed = true;
        self.outflow.filled(self.client, content, self.stuck.is_some())?;
        content.take();
        (self.unsent, self.unpassed) = (true, false);
        Ok(())
    }
}
