//! A WebSocket between two sockets: does what can be done at once, and says what would have to be waited for. Whoever
//! drives it waits for client and process together, never for one of them alone, so that neither can keep it from
//! hearing the other.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use wsgi_unix::{panics, stop};
use wsgi_websocket::close;
use wsgi_websocket::deflate::Codec;
use wsgi_websocket::session::Settings;
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::Kind;
use wsgi_wire::record::LogRecord;
use wsgi_wire::table::Group;

use super::WebSocket;
use crate::relay::connection::Connection;
use crate::relay::inbox::{Inbox, Received};
use crate::relay::outcome::End;
use crate::relay::peer::{Gone, Peer};
use crate::relay::records::Source;
use crate::relay::seat::Seat;
use crate::relay::violation::Violation;

/// How often it is looked whether the process still lives: a program that it has forked may hold its sockets open.
pub const LOOK: Duration = Duration::from_secs(1);

/// How long the two sides have to take what is left when a WebSocket is over.
const LAST: Duration = Duration::from_secs(10);

/// How many steps a turn has at the most: others have a right to theirs.
const STEPS: usize = 8;

/// Memory that a thread uses for all its WebSockets, one after the other.
#[derive(Default)]
pub struct Memory {
    inbox: Inbox,
    bytes: Vec<u8>,
    codec: Codec,
}

/// What may have come since it was looked at last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Whether the client may have sent something.
    pub client: bool,
    /// Whether the process may have sent something.
    pub process: bool,
}

/// What a turn has led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There is more to do at once.
    Again,
    /// It is to be waited for what is [wanted](Carrier::wants).
    Wait,
    /// The WebSocket has ended, and nothing is left to send.
    Over(End),
}

/// What has to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// Of the client: to read, to write. A side of which nothing is wanted tells of its end again and again.
    pub client: PollFlags,
    /// Of the process, as of the client.
    pub process: PollFlags,
    /// The moment at which there is something to do in any case.
    pub until: Option<Instant>,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Open,
    /// It has ended, for this reason if it is not in the socket's own state; what is left is sent until this moment.
    Last(Option<End>, Instant),
}

/// Carries a WebSocket, without waiting.
pub struct Carrier {
    socket: WebSocket,
    inbox: Inbox,
    source: Source<'static>,
    seat: Seat,
    seen: Seen,
    /// When the client has last taken something, or had nothing to take.
    moved: Instant,
    stage: Stage,
}

fn flags(reads: bool, writes: bool) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, reads);
    flags.set(PollFlags::OUT, writes);
    flags
}

impl Carrier {
    /// Makes the carrier of a WebSocket that has just been accepted. `inbox`: what has come from the process behind
    /// that; `record`: that of its group; `source`: the process that logs, and how much it may log.
    pub fn new(
        settings: Settings,
        record: &'static Group,
        connection: &mut Connection,
        inbox: Inbox,
        source: Source<'static>,
        seat: Seat,
    ) -> Self {
        // It carries no other request, whose route they could have.
        connection.forget_routes();
        let now = Instant::now();
        let socket = WebSocket::new(settings, record, connection.exchange(), now);
        // What has come behind the request is in Apache's filters already, and nobody tells of it.
        let seen = Seen { client: true, process: true };
        Self { socket, inbox, source, seat, seen, moved: now, stage: Stage::Open }
    }

    /// The process that has it, as the process table knows that.
    pub fn process(&self) -> u32 {
        self.source.process
    }

    /// The code with which the WebSocket has ended, where it has.
    pub fn code(&self) -> u16 {
        self.socket.code()
    }

    /// Its seat in that process.
    pub fn seat(&mut self) -> &mut Seat {
        &mut self.seat
    }

    /// Does what can be done, as far as others may wait for it. `seen`: what may have come.
    pub fn turn(&mut self, connection: &Connection, client: &mut impl Peer, seen: Seen, memory: &mut Memory) -> Turn {
        self.seen.client |= seen.client;
        self.seen.process |= seen.process;
        self.inbox.borrow_memory(&mut memory.inbox);
        let turn = self.steps(connection, client, memory);
        self.inbox.give_memory_back(&mut memory.inbox);
        self.socket.shrink();
        turn
    }

    fn steps(&mut self, connection: &Connection, client: &mut impl Peer, memory: &mut Memory) -> Turn {
        for _ in 0..STEPS {
            let now = Instant::now();
            if let Stage::Last(end, until) = self.stage {
                if !self.has_sent_rest(connection, client) && now < until {
                    return Turn::Wait;
                }
                self.source.take_last(connection, &mut self.inbox, client);
                return Turn::Over(end.unwrap_or_else(|| self.socket.end()));
            }
            let goes_on = match self.step(connection, client, memory, now) {
                Ok(goes_on) => goes_on,
                Err(end) => {
                    let time = if end == End::Stopped { Duration::ZERO } else { LAST };
                    self.stage = Stage::Last(Some(end), now + time);
                    continue;
                }
            };
            if self.socket.is_over() {
                self.stage = Stage::Last(None, now + LAST);
            } else if !goes_on {
                return Turn::Wait;
            }
        }
        Turn::Again
    }

    /// Does what can be done for both sides. Returns whether there may be more.
    fn step(
        &mut self,
        connection: &Connection,
        client: &mut impl Peer,
        memory: &mut Memory,
        now: Instant,
    ) -> Result<bool, End> {
        panics::point("websocket: step");
        if stop::has_begun() {
            self.socket.leave(close::GOING_AWAY);
            return Err(End::Stopped);
        }
        self.hear_process(connection, client, &mut memory.codec, now)?;
        if self.seen.client && self.socket.reads_client() {
            let bytes = &mut memory.bytes;
            bytes.clear();
            match client.receive_bytes(bytes) {
                Ok(more) => self.seen.client = more,
                Err(Gone) => self.socket.client_is_lost(),
            }
            if !bytes.is_empty() {
                self.socket.hear_client(bytes, &mut memory.codec, now);
            }
        }
        if self.send_to_process(connection).is_err() {
            // What it has sent before comes first.
            self.seen.process = true;
        }
        match self.send_to_client(client) {
            Ok(true) => self.moved = now,
            Ok(false) => {}
            Err(Gone) => self.socket.client_is_lost(),
        }
        self.socket.tick(now);
        if !self.is_blocked(client) {
            self.moved = now;
        } else if self.is_late(client).is_some_and(|late| now >= late) {
            self.socket.client_is_lost();
        }
        if self.socket.reads_process() && !self.seen.process && self.seat.process_has_ended() {
            // What it has said before is all there now.
            self.seen.process = true;
            self.hear_process(connection, client, &mut memory.codec, now)?;
            if self.socket.reads_process() && !self.seen.process {
                return Err(End::ProcessLost);
            }
        }
        let hears_client = self.seen.client && self.socket.reads_client();
        Ok(hears_client || self.seen.process && self.socket.reads_process())
    }

    /// Takes what the process has sent, as long as the client takes what it has to say.
    fn hear_process(
        &mut self,
        connection: &Connection,
        client: &mut impl Peer,
        codec: &mut Codec,
        now: Instant,
    ) -> Result<(), End> {
        let Self { socket, inbox, seen, source, .. } = self;
        let failed = |socket: &mut WebSocket, violation: Violation| {
            socket.leave(close::INTERNAL_ERROR);
            Err(End::Violated(violation))
        };
        while socket.reads_process() {
            let frame = match inbox.first() {
                Ok(frame) => frame,
                Err(error) => return failed(socket, error.into()),
            };
            if let Some(frame) = frame {
                let (size, is_ours) = (frame.size(), frame.exchange == connection.exchange());
                if frame.kind == Kind::Log && is_ours {
                    match LogRecord::from_bytes(frame.payload) {
                        Ok(record) => source.log(client, record),
                        Err(error) => return failed(socket, error.into()),
                    }
                } else {
                    socket.hear_process(frame, codec, now).map_err(End::Violated)?;
                }
                inbox.consume(size);
                continue;
            }
            if inbox.descriptors() > 0 {
                return failed(socket, Violation::Descriptors);
            }
            if !seen.process {
                return Ok(());
            }
            match inbox.receive(&connection.stream, false) {
                // What comes later is told of again.
                Ok(Received::Bytes) => seen.process = inbox.is_full(),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => seen.process = false,
                Ok(Received::Closed) | Err(_) if stop::has_begun() => {
                    socket.leave(close::GOING_AWAY);
                    return Err(End::Stopped);
                }
                Ok(Received::Closed) | Err(_) => return Err(End::ProcessLost),
            }
        }
        Ok(())
    }

    /// Sends what waits for the process, as far as that goes at once.
    fn send_to_process(&mut self, connection: &Connection) -> Result<(), Errno> {
        let waiting = &mut self.socket.to_process;
        while !waiting.is_empty() {
            match send(&connection.stream, waiting, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) => drop(waiting.drain(..sent)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => {
                    waiting.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Sends what waits for the client, as far as that goes at once. Returns whether it has taken something.
    fn send_to_client(&mut self, client: &mut impl Peer) -> Result<bool, Gone> {
        let waiting = &mut self.socket.to_client;
        let (mut taken, was_held) = (0, client.holds_bytes());
        while taken < waiting.len() || client.holds_bytes() {
            let sent = client.send_bytes(&waiting[taken..])?;
            taken += sent;
            if sent == 0 {
                break;
            }
        }
        waiting.drain(..taken);
        Ok(taken > 0 || was_held && !client.holds_bytes())
    }

    /// Whether something waits for the client.
    fn is_blocked(&self, client: &impl Peer) -> bool {
        !self.socket.to_client.is_empty() || client.holds_bytes()
    }

    /// The moment at which a client is given up that takes nothing, if there is something for it.
    fn is_late(&self, client: &impl Peer) -> Option<Instant> {
        client.send_timeout().filter(|_| self.is_blocked(client)).map(|most| self.moved + most)
    }

    /// Sends what is left when nothing more is read. Returns whether that is all, or nobody takes it any more.
    fn has_sent_rest(&mut self, connection: &Connection, client: &mut impl Peer) -> bool {
        if self.send_to_client(client).is_err() {
            self.socket.to_client.clear();
        }
        // One that is gone needs nothing.
        let _ = self.send_to_process(connection);
        let is_gone = self.socket.to_client.is_empty() && client.is_gone();
        let is_done = self.socket.to_process.is_empty() && (is_gone || !self.is_blocked(client));
        is_done || stop::has_begun() || self.seat.process_has_ended()
    }

    /// What has to be waited for before the next turn.
    pub fn wants(&self, client: &impl Peer) -> Wants {
        let to_client = self.is_blocked(client);
        let to_process = !self.socket.to_process.is_empty();
        match self.stage {
            Stage::Open => Wants {
                client: flags(self.socket.reads_client(), to_client),
                process: flags(self.socket.reads_process(), to_process),
                until: self.socket.deadline().into_iter().chain(self.is_late(client)).min(),
            },
            Stage::Last(_, until) => {
                Wants { client: flags(false, to_client), process: flags(false, to_process), until: Some(until) }
            }
        }
    }
}
