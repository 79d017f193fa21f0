//! What a conversation waits for, and for how long.
#![forbid(unsafe_code)]

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use wsgi_wire::limits;

use super::{Conversation, LOOK, Outcome, Step, is_timeout};
use crate::httpd::socket;
use crate::relay::Client;
use crate::relay::inbox::Received;
use crate::relay::violation::Violation;

impl<C: Client> Conversation<'_, C> {
    /// Reads more. When something waits to be sent and nothing more comes, it is sent.
    pub(super) fn receive(&mut self) -> Step {
        if self.unsent || self.unpassed {
            match self.inbox.receive(&self.connection.stream, false) {
                Err(error) if is_timeout(&error) => {
                    if !self.more_soon() {
                        if let Err(halt) = self.flush() {
                            return Step::Over(self.halted(halt));
                        }
                    }
                }
                outcome => return self.received(outcome),
            }
        }
        loop {
            match self.inbox.receive(&self.connection.stream, true) {
                Err(error) if is_timeout(&error) => {
                    if (self.terms.ended)() {
                        return self.last_words();
                    }
                    if let Some(outcome) = self.run_out() {
                        return Step::Over(outcome);
                    }
                    if !self.headed && socket::is_read(&self.connection.stream) {
                        self.client.is_taken();
                    }
                    self.hurry();
                }
                outcome => return self.received(outcome),
            }
        }
    }

    /// Takes what a process has said before it ended. When that was nothing, and it has not read the request, another one may execute it.
    fn last_words(&mut self) -> Step {
        match self.inbox.receive(&self.connection.stream, false) {
            Err(error) if is_timeout(&error) => {
                Step::Over(match self.answered || socket::is_read(&self.connection.stream) {
                    true => Outcome::Lost(self.headed),
                    false => Outcome::NotExecuted,
                })
            }
            outcome => self.received(outcome),
        }
    }

    /// When the process must have read the request, as long as it is not known to have.
    fn queue_deadline(&self) -> Option<Instant> {
        self.terms.queue.filter(|_| !self.answered)
    }

    /// Whether a time is over, now that a read has waited in vain.
    fn run_out(&mut self) -> Option<Outcome> {
        let now = Instant::now();
        if self.queue_deadline().is_some_and(|deadline| now >= deadline) {
            if !socket::is_read(&self.connection.stream) {
                return Some(Outcome::Unread);
            }
            self.terms.queue = None;
        }
        let silent = now.saturating_duration_since(self.heard);
        (!self.terms.silence.is_zero() && silent >= self.terms.silence).then_some(Outcome::TimedOut(self.headed))
    }

    /// Lets the next read wait until something may be over.
    pub(super) fn hurry(&mut self) {
        let silence = (!self.terms.silence.is_zero()).then(|| self.heard + self.terms.silence);
        let until = silence.into_iter().chain(self.queue_deadline()).min();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
        let usual = self.connection.usual_wait();
        let sooner = left.map(|left| left.min(LOOK)).filter(|left| usual.is_zero() || *left < usual);
        if sooner.is_some() || self.hurried {
            self.connection.wait_for(sooner);
        }
        self.hurried = sooner.is_some();
    }

    fn more_soon(&self) -> bool {
        if self.terms.flush_delay.is_zero() {
            return false;
        }
        let mut watched = [PollFd::new(&self.connection.stream, PollFlags::IN)];
        matches!(poll(&mut watched, Some(&timespec(self.terms.flush_delay))), Ok(n) if n > 0)
    }

    fn received(&mut self, outcome: io::Result<Received>) -> Step {
        Step::Over(match outcome {
            // Each is used, or closed with its frame, before the next one is read.
            Ok(Received::Bytes) if self.inbox.descriptors() > limits::FILES_WAITING => {
                self.halted(Violation::Descriptors.into())
            }
            Ok(Received::Bytes) => {
                self.heard = Instant::now();
                return Step::On;
            }
            Err(error) if is_timeout(&error) => Outcome::TimedOut(self.headed),
            // Unread data at the other end of a unix socket that closes shows as a reset.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !self.answered => Outcome::NotExecuted,
            Ok(Received::Closed) | Err(_) => Outcome::Lost(self.headed),
        })
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().try_into().unwrap_or(0), tv_nsec: time.subsec_nanos().into() }
}
