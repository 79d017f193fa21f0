//! A conversation in which both sides speak at any time: the response streams while the body comes, and the process
//! hears of a client that has gone.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use wsgi_unix::kept_memory::Kept;
use wsgi_unix::timespec::timespec;
use wsgi_wire::frame::Kind;
use wsgi_wire::limits;

use super::body::broken_off;
use super::closing::Closing;
use super::{Conversation, LOOK, Step, is_timeout};
use crate::relay::client::{Client, SendError};
use crate::relay::outcome::Outcome;
use crate::relay::violation::Violation;

/// How often it is looked for more of a body where nobody can tell when it comes.
const UNSEEN: Duration = Duration::from_millis(10);

/// What has been seen while nothing was read or sent.
#[derive(Default)]
struct Seen {
    /// The process has sent something.
    comes: bool,
    /// The client takes something.
    takes: bool,
    /// The client has sent something, or closes.
    sends: bool,
    /// The client sends nothing more.
    closes: bool,
    /// The client is gone.
    gone: bool,
}

impl<C: Client> Conversation<'_, C> {
    /// Takes note of what the process asks for: one piece at a time.
    pub(super) fn asked(&mut self, max: usize) -> Result<(), SendError> {
        if self.asked.is_some() || max == 0 {
            return Err(Violation::OutOfPlace(Kind::Pull).into());
        }
        self.asked = Some((max, Instant::now()));
        Ok(())
    }

    /// Gives the process the piece that it has asked for, if that is there.
    pub(super) fn give_piece(&mut self) -> Option<Step> {
        let (max, since) = self.asked?;
        if self.closing == Closing::Seen {
            // With what is given now there is room for more.
            self.closing = Closing::Unseen;
        }
        let mut body = Kept::take();
        let kind = match self.client.take_body(max.min(limits::PULL as usize), &mut body) {
            Ok(None) => {
                let now = Instant::now();
                // It is the client that is silent, and not the process.
                self.heard = now;
                let wait = self.client.send_timeout()?;
                if now.saturating_duration_since(since) < wait {
                    return None;
                }
                broken_off(self.client.body_is_late(), &mut body)
            }
            Ok(Some(true)) => Kind::Body,
            Ok(Some(false)) => Kind::BodyEnd,
            Err(error) => broken_off(error, &mut body),
        };
        self.asked = None;
        if kind == Kind::Body {
            // To be told again and again that there is no more is no progress.
            self.heard = Instant::now();
        }
        match self.send_piece(kind, &body) {
            Step::On => None,
            over @ Step::Over(_) => Some(over),
        }
    }

    /// Reads more of what the process says, and looks after the client meanwhile.
    pub(super) fn receive_duplex(&mut self) -> Step {
        let mut taken = self.stuck.unwrap_or_else(Instant::now);
        loop {
            if let Some(over) = self.give_piece() {
                return over;
            }
            if self.is_flowing() && (self.unsent || self.unpassed || self.file.is_some()) {
                match self.inbox.receive(&self.connection.stream, false) {
                    Err(error) if is_timeout(&error) => {
                        if !self.more_soon() {
                            if let Err(error) = self.send_on() {
                                return Step::Over(self.halted(error));
                            }
                        }
                    }
                    outcome => return self.received(outcome),
                }
            }
            if self.client.socket().is_none() && !self.is_flowing() {
                return self.receive_beside();
            }
            let reads = self.outflow.has_room();
            let seen = self.look_around(reads);
            let now = Instant::now();
            if seen.gone {
                return Step::Over(Outcome::ClientGone);
            }
            if seen.takes {
                taken = now;
                if let Err(error) = self.outflow.pass_kept(self.client) {
                    return Step::Over(self.halted(error));
                }
                self.stuck = (!self.outflow.is_empty()).then_some(now);
            }
            if seen.closes {
                let told = if self.client.body_is_over() { self.tell_of_disconnect() } else { self.look_ahead() };
                if let over @ Step::Over(_) = told {
                    return over;
                }
            }
            if !reads {
                // That nothing is read is not the process's silence.
                self.heard = now;
            }
            if seen.comes {
                return match self.inbox.receive(&self.connection.stream, false) {
                    Err(error) if is_timeout(&error) => Step::On,
                    outcome => self.received(outcome),
                };
            }
            if seen.takes || seen.sends {
                continue;
            }
            let late = |limit| now.saturating_duration_since(taken) >= limit;
            if !self.is_flowing() && self.client.send_timeout().is_some_and(late) {
                return Step::Over(Outcome::ClientGone);
            }
            if let Some(step) = self.after_silence() {
                return step;
            }
        }
    }

    /// The client sends nothing more: the process hears of it, once.
    fn tell_of_disconnect(&mut self) -> Step {
        if std::mem::replace(&mut self.closing, Closing::Told) == Closing::Told {
            return Step::On;
        }
        self.answer(Kind::Disconnect, &[]).unwrap_or(Step::On)
    }

    /// The client sends nothing more, and the process has not asked for the rest of its body: if that is not whole, the
    /// process hears so at once.
    fn look_ahead(&mut self) -> Step {
        if self.closing != Closing::Unseen || self.asked.is_some() {
            return Step::On;
        }
        self.closing = Closing::Seen;
        let Err(error) = self.client.look_ahead() else { return Step::On };
        self.closing = Closing::Told;
        let mut body = Vec::new();
        let kind = broken_off(error, &mut body);
        self.send_piece(kind, &body)
    }

    /// Waits until the process or the client has something, not for long.
    fn look_around(&self, reads: bool) -> Seen {
        let wait = self.time_left().map_or(LOOK, |left| left.min(LOOK));
        let comes = PollFd::new(&self.connection.stream, if reads { PollFlags::IN } else { PollFlags::empty() });
        let Some(socket) = self.client.socket() else {
            let wait = if self.asked.is_some() { wait.min(UNSEEN) } else { wait };
            let mut watched = [comes];
            let seen = matches!(poll(&mut watched, Some(&timespec(wait))), Ok(n) if n > 0);
            return Seen { comes: seen, gone: !seen && self.client.is_gone(), ..Seen::default() };
        };
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::OUT, !self.is_flowing());
        wanted.set(PollFlags::IN, self.asked.is_some());
        let is_news = match self.closing {
            Closing::Unseen => self.asked.is_none() || self.client.body_is_over(),
            Closing::Seen => self.client.body_is_over(),
            Closing::Told => false,
        };
        wanted.set(PollFlags::RDHUP, is_news);
        let mut watched = [PollFd::new(&socket, wanted), comes];
        if poll(&mut watched, Some(&timespec(wait))).is_err() {
            return Seen::default();
        }
        let [client, process] = watched.map(|one| one.revents());
        Seen {
            comes: !process.is_empty(),
            takes: client.contains(PollFlags::OUT),
            sends: client.intersects(PollFlags::IN | PollFlags::RDHUP),
            closes: client.contains(PollFlags::RDHUP),
            gone: client.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL),
        }
    }
}

#[cfg(test)]
mod tests;
