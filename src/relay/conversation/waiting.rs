//! What a conversation waits for, and for how long.
#![forbid(unsafe_code)]

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use wsgi_unix::socket;
use wsgi_unix::timespec::timespec;
use wsgi_wire::limits;

use super::{Conversation, LOOK, Step, is_timeout};
use crate::relay::client::{Client, Right, SendError};
use crate::relay::inbox::Received;
use crate::relay::outcome::Outcome;
use crate::relay::outflow;
use crate::relay::violation::Violation;

/// How long nothing comes from a process that has paused; shorter gaps are the time that it needs to make the next
/// piece.
const PAUSE: Duration = Duration::from_millis(50);

impl<C: Client> Conversation<'_, C> {
    /// Reads more. When something waits to be sent and nothing more comes, it is sent.
    pub(super) fn receive(&mut self) -> Step {
        match self.take_found() {
            Ok(true) => return Step::On,
            Ok(false) => {}
            Err(halt) => return Step::Over(self.halted(halt)),
        }
        if self.limits.duplex {
            return self.receive_duplex();
        }
        if !self.is_flowing() {
            return self.receive_beside();
        }
        if self.unsent || self.unpassed || self.file.is_some() {
            match self.inbox.receive(&self.connection.stream, false) {
                Err(error) if is_timeout(&error) => {
                    if !self.more_soon() {
                        if let Err(halt) = self.send_on() {
                            return Step::Over(self.halted(halt));
                        }
                        if !self.is_flowing() {
                            return Step::On;
                        }
                    }
                }
                outcome => return self.received(outcome),
            }
        }
        loop {
            match self.inbox.receive(&self.connection.stream, true) {
                Err(error) if is_timeout(&error) => {
                    if let Some(step) = self.after_silence() {
                        return step;
                    }
                    self.hurry();
                }
                outcome => return self.received(outcome),
            }
        }
    }

    /// What follows from a wait in which nothing has come: the process has ended, or a limit has passed; otherwise the
    /// client hears it if the process has the request.
    pub(super) fn after_silence(&mut self) -> Option<Step> {
        if (self.limits.ended)() {
            return Some(self.last_words());
        }
        if let Some(outcome) = self.run_out() {
            return Some(Step::Over(outcome));
        }
        if !self.headed && socket::is_read(&self.connection.stream) {
            self.client.is_taken();
        }
        None
    }

    /// Sends what there is, unless the client takes nothing.
    pub(super) fn send_on(&mut self) -> Result<(), SendError> {
        self.pass_file(false)?;
        if self.is_flowing() && !outflow::is_blocked(self.client) {
            if let Some(_right) = self.client.right_to_wait(true) {
                return self.flush();
            }
        }
        self.stuck = Some(Instant::now());
        Ok(())
    }

    /// Reads more while the client takes what it has not taken yet, whichever is possible first.
    pub(super) fn receive_beside(&mut self) -> Step {
        let mut taken = *self.stuck.get_or_insert_with(Instant::now);
        while !self.is_flowing() {
            if let Some(over) = self.give_piece() {
                return over;
            }
            let reads = self.outflow.has_room();
            let (right, comes) = self.look_both_ways(reads);
            let now = Instant::now();
            let takes = right.is_some();
            if takes || self.client.socket().is_none() {
                taken = now;
            }
            if takes {
                if let Err(halt) = self.outflow.pass_kept(self.client) {
                    return Step::Over(self.halted(halt));
                }
                self.stuck = (!self.outflow.is_empty()).then_some(now);
                drop(right);
            }
            if !reads {
                // That nothing is read is not the process's silence.
                self.heard = now;
            }
            if comes {
                return match self.inbox.receive(&self.connection.stream, false) {
                    Err(error) if is_timeout(&error) => Step::On,
                    outcome => self.received(outcome),
                };
            }
            if takes {
                continue;
            }
            if self.client.send_timeout().is_some_and(|limit| now.saturating_duration_since(taken) >= limit) {
                return Step::Over(Outcome::ClientGone);
            }
            if (self.limits.ended)() {
                return self.last_words();
            }
            if let Some(outcome) = self.run_out() {
                return Step::Over(outcome);
            }
        }
        Step::On
    }

    /// Waits a short time until the client takes something, or, with `reads`, the process has sent something. Where
    /// nobody can tell what the client takes, what the process sends goes first, so that the process is done soon.
    fn look_both_ways(&self, reads: bool) -> (Option<Right>, bool) {
        let comes = |wait| {
            let mut watched = [PollFd::new(&self.connection.stream, PollFlags::IN)];
            reads && matches!(poll(&mut watched, Some(&timespec(wait))), Ok(n) if n > 0)
        };
        let Some(socket) = self.client.socket() else {
            if comes(PAUSE) {
                return (None, true);
            }
            let right = self.client.right_to_wait(true);
            let comes = right.is_none() && comes(LOOK);
            return (right, comes);
        };
        let mut watched = [PollFd::new(&socket, PollFlags::OUT), PollFd::new(&self.connection.stream, PollFlags::IN)];
        if poll(&mut watched[..1 + usize::from(reads)], Some(&timespec(LOOK))).is_err() {
            return (None, false);
        }
        let [takes, comes] = watched.map(|one| !one.revents().is_empty());
        (takes.then_some(None), reads && comes)
    }

    /// Takes what a process has sent before it ended. If that is nothing, and the process has not read the request,
    /// another one may execute it.
    pub(super) fn last_words(&mut self) -> Step {
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

    /// The moment by which the process must have read the request; `None` once it is known to have done so.
    fn queue_deadline(&self) -> Option<Instant> {
        self.limits.queue.filter(|_| !self.answered)
    }

    /// Whether one of the limits has passed, after a read that has waited in vain.
    pub(super) fn run_out(&mut self) -> Option<Outcome> {
        let now = Instant::now();
        if self.queue_deadline().is_some_and(|deadline| now >= deadline) {
            if !socket::is_read(&self.connection.stream) {
                return Some(Outcome::Unread);
            }
            self.limits.queue = None;
        }
        self.is_silent(now).then_some(Outcome::TimedOut(self.headed))
    }

    /// Whether the answer has made no progress for as long as the process may be silent.
    pub(super) fn is_silent(&self, now: Instant) -> bool {
        !self.limits.silence.is_zero() && now.saturating_duration_since(self.heard) >= self.limits.silence
    }

    /// How long until something may be over.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let silence = (!self.limits.silence.is_zero()).then(|| self.heard + self.limits.silence);
        let until = silence.into_iter().chain(self.queue_deadline()).min();
        until.map(|until| until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
    }

    /// Sets the socket's read timeout so that the next read ends when the first limit may have passed.
    pub(super) fn hurry(&mut self) {
        let left = self.time_left();
        let usual = self.connection.usual_wait();
        let sooner = left.map(|left| left.min(LOOK)).filter(|left| usual.is_zero() || *left < usual);
        if sooner.is_some() || self.hurried {
            self.connection.wait_for(sooner);
        }
        self.hurried = sooner.is_some();
    }

    pub(super) fn more_soon(&self) -> bool {
        if self.limits.flush_delay.is_zero() {
            return false;
        }
        let mut watched = [PollFd::new(&self.connection.stream, PollFlags::IN)];
        matches!(poll(&mut watched, Some(&timespec(self.limits.flush_delay))), Ok(n) if n > 0)
    }

    pub(super) fn received(&mut self, outcome: io::Result<Received>) -> Step {
        Step::Over(match outcome {
            // Each is used, or closed with its frame, before the next one is read.
            Ok(Received::Bytes) if self.inbox.descriptors() > limits::FILES_WAITING => {
                self.halted(Violation::Descriptors.into())
            }
            Ok(Received::Bytes) => {
                self.arrived = Some(Instant::now());
                return Step::On;
            }
            Err(error) if is_timeout(&error) => Outcome::TimedOut(self.headed),
            // Unread data at the other end of a unix socket that closes shows as a reset.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !self.answered => Outcome::NotExecuted,
            Ok(Received::Closed) | Err(_) => Outcome::Lost(self.headed),
        })
    }
}
