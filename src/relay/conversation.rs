//! One request and its answer on one connection.
#![forbid(unsafe_code)]

mod body;
mod closing;
mod duplex;
mod file;
mod shared;
mod terms;
mod variable;
mod waiting;

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use wsgi_unix::panics;
use wsgi_wire::codec::{Bytes, Wire};
use wsgi_wire::frame::{self, Frame, Kind};
use wsgi_wire::header::HintsLeft;
use wsgi_wire::limits;
use wsgi_wire::question::Answer;
use wsgi_wire::record::LogRecord;
use wsgi_wire::response::{End, Fail, File, Head, Headers, Reject};
use wsgi_wire::websocket::Accept;

use self::closing::Closing;
pub use self::terms::ConversationLimits;
use super::client::{Client, SendError, Then};
use super::connection::Connection;
use super::inbox::Inbox;
use super::outcome::Outcome;
use super::outflow::Outflow;
use super::violation::Violation;

/// How much later than `queue-timeout` a request may be given up: to be more exact is not worth a system call for each
/// request.
const TOLERANCE: Duration = Duration::from_millis(5);

/// How long a read or a write waits before the process table is asked whether the process still lives: programs that it
/// has forked may hold its sockets open.
pub const LOOK: Duration = Duration::from_millis(300);

/// A conversation with a process about one request.
pub struct Conversation<'c, C> {
    connection: &'c Connection,
    inbox: &'c mut Inbox,
    client: &'c mut C,
    outflow: &'c mut Outflow,
    limits: ConversationLimits<'c>,
    /// When the answer has last made progress. The time that this side or the client needs for what has come does not
    /// count as silence of the process.
    heard: Instant,
    /// When something arrived that has not been handled yet.
    arrived: Option<Instant>,
    /// Whether the frames that are being handled are progress. Records, hints and questions are none, or they could go
    /// on for ever.
    progressed: bool,
    /// Whether the socket's read timeout differs from the usual one.
    hurried: bool,
    /// Whether a frame of the answer has arrived.
    answered: bool,
    /// Whether the process has begun with the request: has asked for its body, or given hints.
    begun: bool,
    /// How many variables of the connection the process has been told.
    variables: u32,
    /// How many hints the process may still give.
    hints: HintsLeft,
    /// Whether the head has been taken.
    headed: bool,
    /// Whether something of the response has been passed down without being sent at once.
    unsent: bool,
    /// A file that has just come: it is passed down with the end of the response, if that follows.
    file: Option<(OwnedFd, File)>,
    /// Whether a file waits to go with the next piece.
    unpassed: bool,
    /// When the client stopped taking anything, if it keeps what is to be sent waiting.
    stuck: Option<Instant>,
    /// Whether all content has gone down, its end too.
    ended: bool,
    /// How much of the body the process has asked for and not got yet, and since when; in a duplex conversation.
    asked: Option<(usize, Instant)>,
    /// What is known of a client that sends nothing more, in a duplex conversation.
    closing: Closing,
}

/// What follows a step of the conversation: another one, or its end.
enum Step {
    On,
    Over(Outcome),
}

impl<'c, C: Client> Conversation<'c, C> {
    /// Prepares a conversation; `inbox` and `outflow` are empty. What the client has not taken when it is over is in
    /// `outflow`.
    pub fn new(
        connection: &'c Connection,
        inbox: &'c mut Inbox,
        client: &'c mut C,
        outflow: &'c mut Outflow,
        limits: ConversationLimits<'c>,
    ) -> Self {
        let (heard, hurried) = (Instant::now(), false);
        Self {
            connection,
            inbox,
            client,
            outflow,
            limits,
            heard,
            arrived: None,
            progressed: false,
            hurried,
            answered: false,
            begun: false,
            variables: 0,
            hints: HintsLeft::default(),
            headed: false,
            unsent: false,
            file: None,
            unpassed: false,
            stuck: None,
            ended: false,
            asked: None,
            closing: Closing::Unseen,
        }
    }

    /// Sends the request and carries the answer to the client.
    pub fn run(mut self, request: &[u8]) -> Outcome {
        let outcome = self.converse(request);
        if self.hurried {
            self.connection.wait_for(None);
        }
        if matches!(outcome, Outcome::Lost(true) | Outcome::TimedOut(true)) {
            // Its content has arrived; that the response is cut short the client is told in any case.
            let _ = self.pass_file(false);
        }
        if !outcome.leaves_connection_usable() && outcome != Outcome::Accepted {
            self.limits.source.take_last(self.connection, self.inbox, self.client);
            if let Some(ring) = self.connection.ring.get() {
                ring.rest();
            }
        }
        outcome
    }

    fn converse(&mut self, request: &[u8]) -> Outcome {
        // A request that has waited already has less time left.
        let usual = self.connection.usual_wait();
        let is_late = |deadline: Instant| usual.is_zero() || self.heard + usual > deadline + TOLERANCE;
        if self.limits.queue.is_some_and(is_late) {
            self.hurry();
        }
        match self.send([request, &[]], self.heard) {
            Ok(()) => {}
            Err(error) if is_timeout(&error) && !(self.limits.ended)() => return Outcome::TimedOut(false),
            // Whatever the process has got is not a whole request, so it cannot have executed it.
            Err(_) => return Outcome::NotExecuted,
        }
        panics::point("request: sent");
        loop {
            if let Step::Over(outcome) = self.receive() {
                return outcome;
            }
            let Some(arrived) = self.arrived.take() else { continue };
            self.progressed = false;
            match self.frames() {
                Ok(Step::On) => {}
                Ok(Step::Over(outcome)) => return outcome,
                Err(halt) => return self.halted(halt),
            }
            let now = Instant::now();
            self.heard = if self.progressed { now } else { self.heard + (now - arrived) };
            if self.is_silent(now) {
                return Outcome::TimedOut(self.headed);
            }
        }
    }

    /// Sends a message, as long as the process lives and is not silent for too long.
    fn send(&self, message: [&[u8]; 2], begun: Instant) -> io::Result<()> {
        let silence = self.limits.silence;
        self.connection.send(message, || !(self.limits.ended)() && (silence.is_zero() || begun.elapsed() < silence))
    }

    /// Handles all frames that are there. Data of one read go down to the client together.
    fn frames(&mut self) -> Result<Step, SendError> {
        panics::point("request: answered");
        while let Some(frame) = self.inbox.first().map_err(Violation::from)? {
            self.answered = true;
            if frame.exchange != self.connection.exchange() {
                return Err(Violation::Stray(frame.kind).into());
            }
            let size = frame.size();
            let malformed = Violation::from;
            if self.file.is_some()
                && matches!(frame.kind, Kind::Data | Kind::Filled | Kind::File | Kind::Pull | Kind::End)
            {
                let is_last = frame.kind == Kind::End && *frame.payload == [End::Complete as u8];
                self.pass_file(is_last)?;
                continue;
            }
            let step = match frame.kind {
                Kind::Data if self.headed && !self.ended => {
                    self.mix()?;
                    // An end that is there already goes with the data: one brigade, one write to the client.
                    let end = Frame { kind: Kind::End, payload: &[End::Complete as u8], ..frame };
                    let ends = self.inbox.is_followed_by(size, end);
                    if ends && self.is_flowing() {
                        (self.limits.done)();
                        self.client.data(&[frame.payload], Then::End)?;
                        self.inbox.consume(size + frame::HEADER + 1);
                        return Ok(Step::Over(Outcome::Complete));
                    }
                    self.progressed |= !frame.payload.is_empty();
                    self.outflow.data(self.client, frame.payload, self.stuck.is_some())?;
                    (self.unsent, self.unpassed) = (true, false);
                    Step::On
                }
                Kind::Ring => {
                    self.inbox.consume(size);
                    self.take_ring()?;
                    continue;
                }
                Kind::Filled if self.headed && !self.ended => {
                    let length = u32::from_bytes(frame.payload).map_err(malformed)?;
                    let end = Frame { kind: Kind::End, payload: &[End::Complete as u8], ..frame };
                    let ends = self.inbox.is_followed_by(size, end);
                    self.take_told(length, ends)?
                }
                Kind::End if self.headed => {
                    self.check_told()?;
                    let end = End::from_bytes(frame.payload).map_err(malformed)?;
                    (self.limits.done)();
                    match end {
                        // The client has a whole response, whatever became of the application afterwards.
                        _ if self.ended => Step::Over(Outcome::Complete),
                        // The end of what is kept goes down behind it.
                        End::Complete if !self.outflow.is_empty() => Step::Over(Outcome::Complete),
                        End::Short | End::Truncated if !self.outflow.is_empty() => Step::Over(Outcome::Truncated),
                        End::Complete => {
                            self.client.data(&[], Then::End)?;
                            Step::Over(Outcome::Complete)
                        }
                        // What there is of a response goes out before the client is told that there is no more.
                        End::Short => {
                            self.client.data(&[], Then::Flush)?;
                            Step::Over(Outcome::Truncated)
                        }
                        End::Truncated => {
                            if self.unpassed {
                                self.client.data(&[], Then::More)?;
                            }
                            Step::Over(Outcome::Truncated)
                        }
                    }
                }
                Kind::Head if !self.headed => {
                    let head = Head::decode(frame.payload).map_err(malformed)?;
                    (self.headed, self.progressed) = (true, true);
                    (self.limits.answered)();
                    match self.client.head(&head) {
                        Ok(()) => Step::On,
                        Err(status) => Step::Over(Outcome::Refused(status)),
                    }
                }
                Kind::Accept if !self.headed && self.limits.duplex => {
                    let accept = Accept::decode(frame.payload).map_err(malformed)?;
                    self.headed = true;
                    (self.limits.answered)();
                    self.client.accept(&accept)?;
                    Step::Over(Outcome::Accepted)
                }
                Kind::Trailers if self.headed => {
                    self.client.trailers(Headers::decode(frame.payload).map_err(malformed)?)?;
                    Step::On
                }
                Kind::EarlyHints if !self.headed => {
                    if !self.hints.take(frame.payload.len()) {
                        return Err(Violation::Hints.into());
                    }
                    let headers = Headers::decode(frame.payload).map_err(malformed)?;
                    self.begun = true;
                    self.client.early_hints(headers);
                    Step::On
                }
                Kind::Log => {
                    let record = LogRecord::from_bytes(frame.payload).map_err(malformed)?;
                    self.limits.source.log(self.client, record);
                    Step::On
                }
                Kind::File if self.headed && !self.ended => {
                    let file = File::from_bytes(frame.payload).map_err(malformed)?;
                    self.inbox.consume(size);
                    self.take_file(file)?;
                    continue;
                }
                Kind::Pull => {
                    let max = u32::from_bytes(frame.payload).map_err(malformed)?;
                    self.inbox.consume(size);
                    self.begun = true;
                    if self.limits.duplex {
                        self.asked(max as usize)?;
                        continue;
                    }
                    match self.pull(max.min(limits::PULL) as usize)? {
                        Step::On => continue,
                        over @ Step::Over(_) => return Ok(over),
                    }
                }
                Kind::Variable if !self.ended => {
                    let name = Bytes::from_bytes(frame.payload).map_err(malformed)?;
                    self.inbox.consume(size);
                    match self.tell_variable(&name)? {
                        Step::On => continue,
                        over @ Step::Over(_) => return Ok(over),
                    }
                }
                Kind::Fail if !self.headed => {
                    let fail = Fail::from_bytes(frame.payload).map_err(malformed)?;
                    Step::Over(Outcome::Failed(fail.status))
                }
                Kind::Answer if !self.headed && !self.begun => {
                    let answer = Answer::from_bytes(frame.payload).map_err(malformed)?;
                    (self.limits.done)();
                    self.client.answer(answer)?;
                    Step::Over(Outcome::Complete)
                }
                // Another process gets the whole request, so nothing of it may have been taken, and nothing have been
                // sent to the client.
                Kind::Reject if !self.headed && !self.begun => {
                    let reject = Reject::from_bytes(frame.payload).map_err(malformed)?;
                    Step::Over(Outcome::Rejected(reject))
                }
                kind => return Err(Violation::OutOfPlace(kind).into()),
            };
            self.inbox.consume(size);
            if let Step::Over(_) = step {
                return Ok(step);
            }
        }
        Ok(Step::On)
    }

    /// Whether content goes to the client as it comes: nothing is kept for it, and nothing waits.
    fn is_flowing(&self) -> bool {
        self.stuck.is_none() && self.outflow.is_empty()
    }

    /// The outcome of a request whose response the client, or this side, does not take any more.
    fn halted(&self, halt: SendError) -> Outcome {
        match halt {
            SendError::Gone => Outcome::ClientGone,
            SendError::Refused(violation) => Outcome::Violated(violation, self.headed),
            SendError::Unkept(error) => Outcome::Unkept(error),
        }
    }

    fn flush(&mut self) -> Result<(), SendError> {
        (self.unsent, self.unpassed) = (false, false);
        self.client.data(&[], Then::Flush)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests;
