//! The thread that a WebSocket has for itself: it waits for the client and for the process at once, and never for one
//! of them alone, so that neither can keep it from hearing the other.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use wsgi_unix::{panics, stop};
use wsgi_websocket::close;
use wsgi_websocket::session::Settings;
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::Kind;
use wsgi_wire::record::LogRecord;

use super::WebSocket;
use crate::relay::client::{Client, Gone};
use crate::relay::connection::Connection;
use crate::relay::inbox::{Inbox, Received};
use crate::relay::outcome::End;
use crate::relay::records::Source;
use crate::relay::timespec::timespec;
use crate::relay::violation::Violation;

/// How often it is looked whether the process still lives: a program that it has forked may hold its sockets open.
const LOOK: Duration = Duration::from_secs(1);

/// How long the two sides have to take what is left when a WebSocket is over.
const LAST: Duration = Duration::from_secs(10);

/// Carries a WebSocket to its end, on the calling thread.
pub struct Driver<'d, C> {
    /// The connection to the process.
    pub connection: &'d Connection,
    /// What has come from the process.
    pub inbox: &'d mut Inbox,
    /// The client, whose connection is that of the WebSocket.
    pub client: &'d mut C,
    /// The process that logs, and how much it may log.
    pub source: Source<'d>,
    /// Tells whether the process has ended.
    pub ended: &'d dyn Fn() -> bool,
}

/// What may have come since it was looked at last.
#[derive(Clone, Copy)]
struct Seen {
    client: bool,
    process: bool,
}

impl<C: Client> Driver<'_, C> {
    /// Carries the WebSocket to its end.
    pub fn run(mut self, settings: Settings) -> End {
        let mut socket = WebSocket::new(settings, self.connection.exchange(), Instant::now());
        let mut end = None;
        // What has come behind the request is in Apache's filters already, and nobody tells of it.
        let mut seen = Seen { client: true, process: true };
        let (mut moved, mut bytes) = (Instant::now(), Vec::new());
        while end.is_none() && !socket.is_over() {
            end = self.step(&mut socket, &mut seen, &mut moved, &mut bytes).err();
        }
        self.send_rest(&mut socket, end);
        self.source.take_last(self.connection, self.inbox, self.client);
        end.unwrap_or_else(|| socket.end())
    }

    /// Does what can be done, then waits for more. `moved`: when the client has last taken something; `bytes`: memory
    /// for what it sends.
    fn step(
        &mut self,
        socket: &mut WebSocket,
        seen: &mut Seen,
        moved: &mut Instant,
        bytes: &mut Vec<u8>,
    ) -> Result<(), End> {
        panics::point("websocket: step");
        let now = Instant::now();
        self.hear_process(socket, seen, now)?;
        if seen.client && socket.reads_client() {
            bytes.clear();
            match self.client.receive_bytes(bytes) {
                Ok(true) => socket.hear_client(bytes, now),
                Ok(false) => seen.client = false,
                Err(Gone) => socket.client_is_lost(),
            }
        }
        if self.send_to_process(socket).is_err() {
            // What it has sent before comes first.
            seen.process = true;
        }
        match self.send_to_client(socket) {
            Ok(true) => *moved = now,
            Ok(false) => {}
            Err(Gone) => socket.client_is_lost(),
        }
        socket.tick(now);
        let goes_on = seen.client && socket.reads_client() || seen.process && socket.reads_process();
        if goes_on || socket.is_over() {
            return Ok(());
        }
        *seen = self.wait(socket, now);
        let is_stuck = self.is_blocked(socket) && self.client.send_timeout().is_some_and(|most| moved.elapsed() > most);
        if is_stuck {
            socket.client_is_lost();
        }
        if !self.is_blocked(socket) {
            *moved = Instant::now();
        }
        if stop::has_begun() {
            socket.leave(close::GOING_AWAY);
            return Err(End::Stopped);
        }
        if socket.reads_process() && !seen.process && (self.ended)() {
            return Err(End::ProcessLost);
        }
        Ok(())
    }

    /// Takes what the process has sent, as long as the client takes what it has to say.
    fn hear_process(&mut self, socket: &mut WebSocket, seen: &mut Seen, now: Instant) -> Result<(), End> {
        while socket.reads_process() {
            let failed = |socket: &mut WebSocket, violation: Violation| {
                socket.leave(close::INTERNAL_ERROR);
                Err(End::Violated(violation))
            };
            let frame = match self.inbox.first() {
                Ok(frame) => frame,
                Err(error) => return failed(socket, error.into()),
            };
            if let Some(frame) = frame {
                let (size, is_ours) = (frame.size(), frame.exchange == self.connection.exchange());
                if frame.kind == Kind::Log && is_ours {
                    match LogRecord::from_bytes(frame.payload) {
                        Ok(record) => self.source.log(self.client, record),
                        Err(error) => return failed(socket, error.into()),
                    }
                } else {
                    socket.hear_process(frame, now).map_err(End::Violated)?;
                }
                self.inbox.consume(size);
                continue;
            }
            if self.inbox.descriptors() > 0 {
                return failed(socket, Violation::Descriptors);
            }
            if !seen.process {
                return Ok(());
            }
            match self.inbox.receive(&self.connection.stream, false) {
                Ok(Received::Bytes) => {}
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
    fn send_to_process(&self, socket: &mut WebSocket) -> Result<(), Errno> {
        while !socket.to_process.is_empty() {
            match send(&self.connection.stream, &socket.to_process, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) => drop(socket.to_process.drain(..sent)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => {
                    socket.to_process.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Sends what waits for the client, as far as that goes at once. Returns whether it has taken something.
    fn send_to_client(&mut self, socket: &mut WebSocket) -> Result<bool, Gone> {
        let (mut taken, was_held) = (0, self.client.holds_bytes());
        while taken < socket.to_client.len() || self.client.holds_bytes() {
            let sent = self.client.send_bytes(&socket.to_client[taken..])?;
            taken += sent;
            if sent == 0 {
                break;
            }
        }
        socket.to_client.drain(..taken);
        Ok(taken > 0 || was_held && !self.client.holds_bytes())
    }

    /// Whether something waits for the client.
    fn is_blocked(&self, socket: &WebSocket) -> bool {
        !socket.to_client.is_empty() || self.client.holds_bytes()
    }

    /// Waits for whoever has something to say, or takes something; not for long.
    fn wait(&self, socket: &WebSocket, now: Instant) -> Seen {
        let wait = socket.deadline().map_or(LOOK, |at| at.saturating_duration_since(now).min(LOOK));
        let Some(client) = self.client.socket() else { return Seen { client: true, process: true } };
        let (mut of_client, mut of_process) = (PollFlags::empty(), PollFlags::empty());
        of_client.set(PollFlags::IN, socket.reads_client());
        of_client.set(PollFlags::OUT, self.is_blocked(socket));
        of_process.set(PollFlags::IN, socket.reads_process());
        of_process.set(PollFlags::OUT, !socket.to_process.is_empty());
        let mut watched = [PollFd::new(&client, of_client), PollFd::new(&self.connection.stream, of_process)];
        // A side of which nothing is wanted would tell of its end again and again.
        let first = usize::from(of_client.is_empty());
        let last = 2 - usize::from(of_process.is_empty());
        if poll(watched.get_mut(first..last).unwrap_or_default(), Some(&timespec(wait))).is_err() {
            return Seen { client: false, process: false };
        }
        let [client, process] = watched.map(|one| one.revents());
        let other = PollFlags::OUT.complement();
        Seen { client: client.intersects(other), process: process.intersects(other) }
    }

    /// Sends what is left when nothing more is read. Whoever does not take it in time goes without.
    fn send_rest(&mut self, socket: &mut WebSocket, end: Option<End>) {
        let time = if end == Some(End::Stopped) { Duration::ZERO } else { LAST };
        let until = Instant::now() + time;
        loop {
            if self.send_to_client(socket).is_err() {
                socket.to_client.clear();
            }
            // One that is gone needs nothing.
            let _ = self.send_to_process(socket);
            let is_gone = socket.to_client.is_empty() && self.client.is_gone();
            let left = until.saturating_duration_since(Instant::now());
            let is_done = socket.to_process.is_empty() && (is_gone || !self.is_blocked(socket));
            if is_done || left.is_zero() || stop::has_begun() || (self.ended)() {
                return;
            }
            self.wait_to_send(socket, left.min(LOOK));
        }
    }

    fn wait_to_send(&self, socket: &WebSocket, wait: Duration) {
        let Some(client) = self.client.socket() else { return };
        let client = PollFd::new(&client, PollFlags::OUT);
        let process = PollFd::new(&self.connection.stream, PollFlags::OUT);
        let mut watched = match (self.is_blocked(socket), socket.to_process.is_empty()) {
            (true, true) => vec![client],
            (true, false) => vec![client, process],
            (false, _) => vec![process],
        };
        // Who has failed shows when it is sent to.
        let _ = poll(&mut watched, Some(&timespec(wait)));
    }
}
