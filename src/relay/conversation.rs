//! One request and its answer on one connection.
#![forbid(unsafe_code)]

use std::io;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;
use wsgi_wire::record::{Level, LogRecord};
use wsgi_wire::response::{End, Fail, File, Head, Headers, Reject};

use super::connection::Connection;
use super::inbox::{Inbox, Received};
use super::{Client, Gone, Then};
use crate::httpd::{log, socket};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The response is whole and on its way. The connection can be used again.
    Complete,
    /// The application failed after the head was sent. The connection can be used again.
    Truncated,
    /// The application did not come to answer: this status. The connection can be used again.
    Failed(u16),
    /// The process has not executed it. Another one may.
    Rejected(Reject),
    /// The process closed without having read it. Another one may execute it.
    NotExecuted,
    /// The process has not read it in its time. It will not execute it when it does.
    Unread,
    /// The process is gone, or sends nonsense. `true`: a part of the response has been taken already.
    Lost(bool),
    /// The process is silent for longer than `socket-timeout`. `true`: a part of the response has been taken already.
    TimedOut(bool),
    /// The head cannot be sent; the client gets this status.
    Refused(u16),
    /// The client is gone.
    ClientGone,
}

impl Outcome {
    /// Whether the answer was read to its end, so that another request may follow on the connection.
    pub fn leaves_connection_usable(self) -> bool {
        matches!(self, Self::Complete | Self::Truncated | Self::Failed(_) | Self::Rejected(_))
    }
}

/// How much later than `queue-timeout` a request may be given up: less is not worth a system call for each request.
const TOLERANCE: Duration = Duration::from_millis(5);

/// How long a read or a write waits before it is asked whether the process is still there: something that it has forked may hold its sockets open.
pub const LOOK: Duration = Duration::from_millis(300);

/// What a conversation keeps to.
pub struct Terms<'c> {
    /// `response-flush-delay`: how long to wait for more before what is there is sent to the client.
    pub flush_delay: Duration,
    /// `queue-timeout`: when the process must have read the request.
    pub queue: Option<Instant>,
    /// `socket-timeout`: how long the process may be silent; zero is without end.
    pub silence: Duration,
    /// Is told when the answer begins.
    pub answered: &'c dyn Fn(),
    /// Tells whether the process has ended.
    pub ended: &'c dyn Fn() -> bool,
}

/// A conversation while it lasts.
pub struct Conversation<'c, C> {
    connection: &'c Connection,
    inbox: &'c mut Inbox,
    client: &'c mut C,
    terms: Terms<'c>,
    /// When something of the answer has last arrived.
    heard: Instant,
    /// Whether reads wait for another time than usual.
    hurried: bool,
    /// Whether a frame of the answer has arrived.
    answered: bool,
    /// Whether the head has been taken.
    headed: bool,
    /// Whether something of the response has been passed down without being sent at once.
    unsent: bool,
    /// Whether a file waits to go with the next piece.
    unpassed: bool,
    /// Whether all content has gone down, its end too.
    ended: bool,
}

/// Whether the conversation goes on.
enum Step {
    On,
    Over(Outcome),
}

impl<'c, C: Client> Conversation<'c, C> {
    /// Prepares a conversation; `inbox` is empty.
    pub fn new(connection: &'c Connection, inbox: &'c mut Inbox, client: &'c mut C, terms: Terms<'c>) -> Self {
        let (heard, hurried) = (Instant::now(), false);
        Self {
            connection,
            inbox,
            client,
            terms,
            heard,
            hurried,
            answered: false,
            headed: false,
            unsent: false,
            unpassed: false,
            ended: false,
        }
    }

    /// Sends the request and carries the answer to the client.
    pub fn run(mut self, request: &[u8]) -> Outcome {
        let outcome = self.converse(request);
        if self.hurried {
            self.connection.wait_for(None);
        }
        outcome
    }

    fn converse(&mut self, request: &[u8]) -> Outcome {
        // A request that has waited already has less time left.
        let usual = self.connection.usual_wait();
        let is_late = |deadline: Instant| usual.is_zero() || self.heard + usual > deadline + TOLERANCE;
        if self.terms.queue.is_some_and(is_late) {
            self.hurry();
        }
        match self.send(request) {
            Ok(()) => {}
            Err(error) if is_timeout(&error) && !(self.terms.ended)() => return Outcome::TimedOut(false),
            // Whatever the process has got is not a whole request, so it cannot have executed it.
            Err(_) => return Outcome::NotExecuted,
        }
        loop {
            match self.frames() {
                Ok(Step::On) => {}
                Ok(Step::Over(outcome)) => return outcome,
                Err(Gone) => return Outcome::ClientGone,
            }
            if let Step::Over(outcome) = self.receive() {
                return outcome;
            }
        }
    }

    /// Sends as long as the process is there, and not for longer than it may be silent.
    fn send(&self, message: &[u8]) -> io::Result<()> {
        let (begun, silence) = (self.heard, self.terms.silence);
        self.connection.send(message, || !(self.terms.ended)() && (silence.is_zero() || begun.elapsed() < silence))
    }

    /// Handles all frames that are there. Data of one read go down to the client together.
    fn frames(&mut self) -> Result<Step, Gone> {
        loop {
            let Ok(first) = self.inbox.first() else { return Ok(Step::Over(Outcome::Lost(self.headed))) };
            let Some(frame) = first else { return Ok(Step::On) };
            self.answered = true;
            let size = frame.size();
            let step = match frame.kind {
                Kind::Data if self.headed => {
                    // An end that is there already goes with the data: one brigade, one write to the client.
                    if self.inbox.is_followed_by(size, Kind::End, &[End::Complete as u8]) {
                        self.client.data(&[frame.payload], Then::End)?;
                        self.inbox.consume(size + frame::HEADER + 1);
                        return Ok(Step::Over(Outcome::Complete));
                    }
                    self.client.data(&[frame.payload], Then::More)?;
                    (self.unsent, self.unpassed) = (true, false);
                    Step::On
                }
                Kind::End if self.headed => match End::from_bytes(frame.payload) {
                    Ok(End::Complete) => {
                        if !self.ended {
                            self.client.data(&[], Then::End)?;
                        }
                        Step::Over(Outcome::Complete)
                    }
                    Ok(End::Short) => {
                        self.client.data(&[], Then::Flush)?;
                        Step::Over(Outcome::Truncated)
                    }
                    Ok(End::Truncated) => {
                        // What there is of a response goes out before the client is told that there is no more.
                        if self.unpassed {
                            self.client.data(&[], Then::More)?;
                        }
                        Step::Over(Outcome::Truncated)
                    }
                    Err(_) => Step::Over(Outcome::Lost(true)),
                },
                Kind::Head if !self.headed => match Head::decode(frame.payload) {
                    Ok(head) => {
                        self.headed = true;
                        (self.terms.answered)();
                        match self.client.head(&head) {
                            Ok(()) => Step::On,
                            Err(status) => Step::Over(Outcome::Refused(status)),
                        }
                    }
                    Err(_) => Step::Over(Outcome::Lost(false)),
                },
                Kind::EarlyHints if !self.headed => match Headers::decode(frame.payload) {
                    Ok(headers) => {
                        self.client.early_hints(headers);
                        Step::On
                    }
                    Err(_) => Step::Over(Outcome::Lost(false)),
                },
                Kind::Log => match LogRecord::from_bytes(frame.payload) {
                    Ok(record) => {
                        self.client.log(&record);
                        Step::On
                    }
                    Err(_) => Step::Over(Outcome::Lost(self.headed)),
                },
                Kind::File if self.headed => match File::from_bytes(frame.payload) {
                    Ok(file) => self.file(&file)?,
                    Err(_) => Step::Over(Outcome::Lost(true)),
                },
                Kind::Pull => match u32::from_bytes(frame.payload) {
                    Ok(max) => {
                        self.inbox.consume(size);
                        self.pull(max.min(limits::PULL) as usize)?;
                        continue;
                    }
                    Err(_) => Step::Over(Outcome::Lost(self.headed)),
                },
                Kind::Fail if !self.headed => match Fail::from_bytes(frame.payload) {
                    Ok(fail) => Step::Over(Outcome::Failed(fail.status)),
                    Err(_) => Step::Over(Outcome::Lost(false)),
                },
                Kind::Reject if !self.headed => match Reject::from_bytes(frame.payload) {
                    Ok(reject) => Step::Over(Outcome::Rejected(reject)),
                    Err(_) => Step::Over(Outcome::Lost(false)),
                },
                _ => Step::Over(Outcome::Lost(self.headed)),
            };
            self.inbox.consume(size);
            if let Step::Over(_) = step {
                return Ok(step);
            }
        }
    }

    fn file(&mut self, file: &File) -> Result<Step, Gone> {
        let Some(descriptor) = self.inbox.descriptor() else { return Ok(Step::Over(Outcome::Lost(true))) };
        self.client.file(descriptor, file)?;
        (self.unpassed, self.ended) = (!file.whole, file.whole);
        Ok(Step::On)
    }

    /// Answers a `Pull` with exactly one frame. What waits for the client goes out first: it may wait for that before it sends more.
    fn pull(&mut self, max: usize) -> Result<(), Gone> {
        if self.unsent || self.unpassed {
            self.flush()?;
        }
        let mut body = Vec::with_capacity(max.min(64 << 10));
        let read = self.client.read_body(max, &mut body);
        let mut answer = Vec::new();
        // The sizes are within the limits by construction; a failure leaves the answer empty, and the process will time out.
        let put = match read {
            Ok(true) => frame::put(&mut answer, Kind::Body, |out| out.extend_from_slice(&body)),
            Ok(false) => frame::put(&mut answer, Kind::BodyEnd, |_| {}),
            Err(error) => frame::put(&mut answer, Kind::BodyError, |out| error.put(out)),
        };
        if put.is_err() {
            self.client.log(&log::ours(Level::Error, "a piece of the request body does not fit into a frame"));
        }
        // What the client has taken to send it is not the process's silence.
        self.heard = Instant::now();
        // Should the process be gone, the next read tells.
        let _ = self.send(&answer);
        self.heard = Instant::now();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Gone> {
        (self.unsent, self.unpassed) = (false, false);
        self.client.data(&[], Then::Flush)
    }

    /// Reads more. When something waits to be sent and nothing more comes, it is sent.
    fn receive(&mut self) -> Step {
        if self.unsent || self.unpassed {
            match self.inbox.receive(&self.connection.stream, false) {
                Err(error) if is_timeout(&error) => {
                    if !self.more_soon() && self.flush().is_err() {
                        return Step::Over(Outcome::ClientGone);
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
    fn hurry(&mut self) {
        let silence = (!self.terms.silence.is_zero()).then(|| self.heard + self.terms.silence);
        let until = silence.into_iter().chain(self.queue_deadline()).min();
        let left = until.map(|until| until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)));
        let usual = self.connection.usual_wait();
        let sooner = left.filter(|left| usual.is_zero() || *left < usual);
        if sooner.is_some() || self.hurried {
            self.connection.wait_for(sooner);
        }
        self.hurried = sooner.is_some();
    }

    fn more_soon(&self) -> bool {
        if self.terms.flush_delay.is_zero() {
            return false;
        }
        let wait = Timespec {
            tv_sec: self.terms.flush_delay.as_secs().try_into().unwrap_or(0),
            tv_nsec: self.terms.flush_delay.subsec_nanos().into(),
        };
        let mut watched = [PollFd::new(&self.connection.stream, PollFlags::IN)];
        matches!(poll(&mut watched, Some(&wait)), Ok(n) if n > 0)
    }

    fn received(&mut self, outcome: io::Result<Received>) -> Step {
        Step::Over(match outcome {
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

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests;
