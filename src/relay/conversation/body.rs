//! The body of the request: a piece for each time that the process asks.

use std::time::Instant;

use wsgi_unix::kept_memory::Kept;
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::messages::internal;
use wsgi_wire::request::BodyError;

use super::{Conversation, Step, is_timeout};
use crate::relay::client::{Client, SendError};
use crate::relay::outcome::Outcome;

/// What is sent in the place of a piece of a body that breaks off.
pub(super) fn broken_off(error: BodyError, body: &mut Vec<u8>) -> Kind {
    body.clear();
    error.put(body);
    Kind::BodyError
}

impl<C: Client> Conversation<'_, C> {
    /// Answers a `Pull` with exactly one frame. What waits for the client is sent first: the client may wait for that
    /// before it sends more of the body.
    pub(super) fn pull(&mut self, max: usize) -> Result<Step, SendError> {
        self.outflow.drain(self.client)?;
        self.stuck = None;
        if self.unsent || self.unpassed {
            self.flush()?;
        }
        let mut body = Kept::take();
        let kind = match self.client.read_body(max, &mut body) {
            Ok(true) => Kind::Body,
            Ok(false) => Kind::BodyEnd,
            Err(error) => broken_off(error, &mut body),
        };
        Ok(self.send_piece(kind, &body))
    }

    /// Sends what comes of a body.
    pub(super) fn send_piece(&mut self, kind: Kind, body: &[u8]) -> Step {
        self.progressed |= kind == Kind::Body && !body.is_empty();
        self.answer(kind, body).unwrap_or_else(|| {
            self.client.tell(&internal::BODY_PIECE_TOO_LONG, "a piece of the request body does not fit into a frame");
            Step::On
        })
    }

    /// Sends a frame that the process waits for. `None` if the payload does not fit into one, which its callers keep
    /// from happening; without the frame the process will time out.
    pub(super) fn answer(&mut self, kind: Kind, payload: &[u8]) -> Option<Step> {
        let header = frame::header_in(self.connection.exchange(), kind, payload.len()).ok()?;
        Some(match self.send([&header, payload], Instant::now()) {
            // What it asks for it does not take. Each of its other questions, of which there may be thousands, would
            // wait as long.
            Err(error) if is_timeout(&error) && !(self.limits.ended)() => Step::Over(Outcome::TimedOut(self.headed)),
            // Should the process be gone, the next read tells.
            _ => Step::On,
        })
    }
}
