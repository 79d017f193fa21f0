//! A WebSocket between its client and a daemon process, without I/O: the client's bytes become frames for the process,
//! and frames of the process become bytes for the client.
#![forbid(unsafe_code)]

pub mod blocking;
pub mod carrier;

use std::time::Instant;

use wsgi_websocket::close::{self, Close};
use wsgi_websocket::deflate::Codec;
use wsgi_websocket::session::{Event, Kind as Content, Session, Settings};
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Frame, Kind};
use wsgi_wire::table::Group;
use wsgi_wire::websocket as wire;

use super::outcome::End;
use super::violation::Violation;

/// With this many bytes waiting for the client nothing more is taken from the process.
const FOR_CLIENT: usize = 64 << 10;

/// With this many bytes waiting, for the process or for the client, nothing more is taken from the client: its pings
/// are answered, and messages are handed on, only as fast as the other side takes them.
const FROM_CLIENT: usize = 256 << 10;

/// The state of one WebSocket.
pub struct WebSocket {
    session: Session,
    /// The number of the exchange on the process's connection.
    exchange: u16,
    /// What is to be sent to the client.
    pub to_client: Vec<u8>,
    /// What is to be sent to the process.
    pub to_process: Vec<u8>,
    counted: Counted,
    /// Whether the process has closed: it is told nothing more, and says nothing more.
    is_closed: bool,
    breach: Option<close::Violation>,
}

/// Appends what the process is told.
fn tell(exchange: u16, out: &mut Vec<u8>, event: &Event<'_>) {
    match event {
        Event::Piece(Content::Text, piece, is_last) => {
            frame::put_message(exchange, out, Kind::Text, piece, *is_last);
        }
        Event::Piece(Content::Binary, piece, is_last) => {
            frame::put_message(exchange, out, Kind::Binary, piece, *is_last);
        }
        Event::Closed(Close { code, reason }) => {
            let close = wire::Close { code: *code, reason: reason.clone() };
            // A reason has come in a control frame, which is short.
            let _ = frame::put_in(exchange, out, Kind::Close, |out| close.put(out));
        }
    }
}

/// Its place among those that the group's record counts. However it ends, it ends there, too.
struct Counted {
    record: &'static Group,
    code: Option<u16>,
}

impl Counted {
    fn opens(record: &'static Group) -> Self {
        record.websocket_counts.opens();
        Self { record, code: None }
    }

    /// Notes the code of its end; the first one counts.
    fn ends(&mut self, code: u16) {
        self.code.get_or_insert(code);
    }

    /// The code of its end. Without a close its client sees a lost connection.
    fn code(&self) -> u16 {
        self.code.unwrap_or(close::LOST)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.record.websocket_counts.closed(self.code());
    }
}

impl WebSocket {
    /// Makes the state of a WebSocket that has just been accepted, and counts it in the record of its group.
    pub fn new(settings: Settings, record: &'static Group, exchange: u16, now: Instant) -> Self {
        Self {
            session: Session::new(settings, now),
            exchange,
            to_client: Vec::new(),
            to_process: Vec::new(),
            counted: Counted::opens(record),
            is_closed: false,
            breach: None,
        }
    }

    /// Whether more is taken from the client.
    pub fn reads_client(&self) -> bool {
        !self.session.is_over() && self.to_client.len() < FROM_CLIENT && self.to_process.len() < FROM_CLIENT
    }

    /// Whether more is taken from the process.
    pub fn reads_process(&self) -> bool {
        !self.session.is_over() && !self.is_closed && self.to_client.len() < FOR_CLIENT
    }

    /// Whether nothing is left to do but to send what waits.
    pub fn is_over(&self) -> bool {
        self.session.is_over()
    }

    /// How it has ended, where nobody else is to blame.
    pub fn end(&self) -> End {
        self.breach.map_or(End::Closed, End::Breach)
    }

    /// The code with which it has ended, where it has: [`close::LOST`] without a close.
    pub fn code(&self) -> u16 {
        self.counted.code()
    }

    /// The moment at which [`tick`](Self::tick) has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }

    /// Runs a step of the session, which may have something for the process.
    fn step<R>(&mut self, step: impl FnOnce(&mut Session, &mut Vec<u8>, &mut dyn FnMut(Event<'_>)) -> R) -> R {
        let (exchange, is_closed, to_process) = (self.exchange, self.is_closed, &mut self.to_process);
        let counted = &mut self.counted;
        step(&mut self.session, &mut self.to_client, &mut |event| {
            if let Event::Closed(close) = &event {
                counted.ends(close.code);
            }
            if !is_closed {
                tell(exchange, to_process, &event);
            }
        })
    }

    /// Takes bytes of the client.
    pub fn hear_client(&mut self, bytes: &mut [u8], codec: &mut Codec, now: Instant) {
        let read = self.step(|session, out, mut tell| session.receive(bytes, now, codec, out, &mut tell));
        self.breach = read.err().or(self.breach);
    }

    /// Notes that the client's connection has ended.
    pub fn client_is_lost(&mut self) {
        self.step(|session, _, mut tell| session.lost(&mut tell));
        self.to_client.clear();
    }

    /// Takes a frame of the process.
    ///
    /// # Errors
    /// [`Violation`]: the process may not say that. The client has been told of a failure.
    pub fn hear_process(&mut self, frame: Frame<'_>, codec: &mut Codec, now: Instant) -> Result<(), Violation> {
        let heard = self.hear(frame, codec, now);
        if heard.is_err() {
            self.counted.ends(close::INTERNAL_ERROR);
            self.leave(close::INTERNAL_ERROR);
        }
        heard
    }

    fn hear(&mut self, frame: Frame<'_>, codec: &mut Codec, now: Instant) -> Result<(), Violation> {
        if frame.exchange != self.exchange {
            return Err(Violation::Stray(frame.kind));
        }
        let content = match frame.kind {
            Kind::Text => Content::Text,
            Kind::Binary => Content::Binary,
            Kind::Close => {
                let wire::Close { code, reason } = wire::Close::from_bytes(frame.payload)?;
                self.session.close(&Close { code, reason }, now, &mut self.to_client)?;
                self.counted.ends(code);
                self.is_closed = true;
                self.to_process.clear();
                return Ok(());
            }
            kind => return Err(Violation::OutOfPlace(kind)),
        };
        Ok(self.session.send(content, frame.payload, !frame.is_more, codec, &mut self.to_client)?)
    }

    /// Ends it from here, with this code for both sides.
    pub fn leave(&mut self, code: u16) {
        self.step(|session, out, mut tell| session.end(Close::with_code(code), out, &mut tell));
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        self.step(|session, out, mut tell| session.tick(now, out, &mut tell));
    }

    /// Gives memory back that nothing is in: most of its time a WebSocket is idle.
    pub fn shrink(&mut self) {
        for buffer in [&mut self.to_client, &mut self.to_process] {
            if buffer.is_empty() {
                *buffer = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests;
