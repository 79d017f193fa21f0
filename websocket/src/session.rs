//! One WebSocket, from its handshake to its end.
//!
//! Whoever drives a [`Session`] hands it what the client sends ([`Session::receive`]), what the application sends
//! ([`Session::send`], [`Session::close`]) and the time ([`Session::tick`]). Bytes for the client are appended to a
//! buffer; while that is long, its driver reads neither the client nor the application, so that who is slow slows the
//! other one down. When the session [is over](Session::is_over), the driver writes what is left and ends the
//! connection, which a server does first (RFC 6455 §7.1.1).

use std::time::{Duration, Instant};

use crate::close::{self, Close, Violation};
use crate::deflate::Codec;
use crate::frame::{self, Opcode};
pub use crate::reader::Kind;
use crate::reader::{Reader, Received};
use crate::text::Utf8;

/// The time that a client has to answer a close: what other servers give it, too.
const CLOSING: Duration = Duration::from_secs(10);

/// The settings of a WebSocket: from the configuration, and from its handshake.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The largest message that a client may send, bytes, inflated.
    pub max_size: usize,
    /// The silence of a client after which it is sent a ping; `None` for never.
    pub ping_interval: Option<Duration>,
    /// The time that the client then has to send anything at all. `None`: as long as its connection lasts.
    pub ping_timeout: Option<Duration>,
    /// Whether messages may travel compressed.
    pub is_deflate: bool,
}

/// What the session has for the application.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The next piece of a message, which may be empty, and whether it is the last one. Where the message is a text it
    /// is UTF-8, but may begin and end inside of a character.
    Piece(Kind, &'a [u8], bool),
    /// The client sends nothing more, for this reason: its own close, or [`close::NO_CODE`], [`close::LOST`],
    /// [`close::TOO_BIG`] … The last event that the application is told.
    Closed(Close),
}

/// A breach of the rules by an application. It ends the WebSocket, with [`close::INTERNAL_ERROR`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A message of the other kind has begun and is not over.
    #[error("a message goes on as one of another kind")]
    Kind,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// A close has a code that may not be sent, or a reason that is too long.
    #[error("a close has a code that may not be sent, or a reason of more than 123 bytes")]
    Close,
}

/// The server's end of a WebSocket.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    reader: Reader,
    state: State,
    /// The application's message that is not complete.
    sending: Option<Sending>,
    /// When the client has last sent something.
    heard: Instant,
    /// When the client was sent a ping that nothing has followed.
    pinged: Option<Instant>,
}

/// How far the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The application has closed; the client has until this moment.
    Closing(Instant),
    Over,
}

/// The message that the application sends piece by piece.
#[derive(Debug)]
struct Sending {
    kind: Kind,
    text: Utf8,
}

impl Session {
    /// Makes the session of a WebSocket whose handshake is done.
    pub fn new(settings: Settings, now: Instant) -> Self {
        let reader = Reader::new(settings.max_size, settings.is_deflate);
        Self { settings, reader, state: State::Open, sending: None, heard: now, pinged: None }
    }

    /// Whether nothing is read or sent any more, except for what is in the buffer for the client.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes bytes of the client. They are unmasked in their place.
    ///
    /// # Errors
    /// A breach of the protocol. The session is over, and the client and the application are told.
    pub fn receive(
        &mut self,
        bytes: &mut [u8],
        now: Instant,
        codec: &mut Codec,
        out: &mut Vec<u8>,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Violation> {
        if self.is_over() {
            return Ok(());
        }
        self.heard = now;
        self.pinged = None;
        let state = &mut self.state;
        let read = self.reader.read(bytes, codec, &mut |received| match received {
            Received::Piece(kind, piece, is_last) if *state == State::Open => tell(Event::Piece(kind, piece, is_last)),
            Received::Ping(payload) if *state == State::Open => frame::put(out, Opcode::Pong, payload),
            Received::Close(said) => {
                if *state == State::Open {
                    frame::put(out, Opcode::Close, &Close::with_code(said.code).payload());
                    tell(Event::Closed(said));
                }
                *state = State::Over;
            }
            // An application that has closed is told nothing more.
            Received::Piece(..) | Received::Ping(_) | Received::Pong => {}
        });
        if let Err(violation) = read {
            self.end(Close::with_code(violation.code()), out, tell);
        }
        read
    }

    /// The client's connection has ended.
    pub fn lost(&mut self, tell: &mut impl FnMut(Event<'_>)) {
        if self.state == State::Open {
            tell(Event::Closed(Close::with_code(close::LOST)));
        }
        self.state = State::Over;
    }

    /// Sends the next piece of the application's message.
    ///
    /// # Errors
    /// A breach of the rules by the application: the session is over, and the client is told.
    pub fn send(
        &mut self,
        kind: Kind,
        piece: &[u8],
        is_last: bool,
        codec: &mut Codec,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if self.state != State::Open {
            return Ok(());
        }
        let is_first = self.sending.is_none();
        let sending = self.sending.get_or_insert(Sending { kind, text: Utf8::default() });
        let fault = if sending.kind != kind {
            Some(Fault::Kind)
        } else if kind == Kind::Text && !(sending.text.take(piece) && (!is_last || sending.text.may_end())) {
            Some(Fault::Text)
        } else {
            None
        };
        if let Some(fault) = fault {
            return self.fail(fault, out);
        }
        let opcode = match kind {
            _ if !is_first => Opcode::Continuation,
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        };
        // A message in pieces would need a compressor of its own until its end.
        let is_whole = is_first && is_last && self.settings.is_deflate;
        let compressed = if is_whole { codec.compress(piece) } else { None };
        let payload = compressed.unwrap_or(piece);
        frame::put_header(out, opcode, is_last, compressed.is_some(), payload.len());
        out.extend_from_slice(payload);
        if is_last {
            self.sending = None;
        }
        Ok(())
    }

    /// Closes for the application. The client has ten seconds to answer.
    ///
    /// # Errors
    /// A close that may not be sent: the session is over, and the client is told of a failure.
    pub fn close(&mut self, said: &Close, now: Instant, out: &mut Vec<u8>) -> Result<(), Fault> {
        if self.state != State::Open {
            return Ok(());
        }
        if !close::may_travel(said.code) || said.reason.len() > close::LONGEST_REASON {
            return self.fail(Fault::Close, out);
        }
        frame::put(out, Opcode::Close, &said.payload());
        self.state = State::Closing(now + CLOSING);
        Ok(())
    }

    /// The moment at which [`tick`](Self::tick) has something to do, if nothing else happens.
    pub fn deadline(&self) -> Option<Instant> {
        match (self.state, self.pinged) {
            (State::Over, _) => None,
            (State::Closing(until), _) => Some(until),
            (State::Open, Some(pinged)) => self.settings.ping_timeout.map(|timeout| pinged + timeout),
            (State::Open, None) => self.settings.ping_interval.map(|interval| self.heard + interval),
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<u8>, tell: &mut impl FnMut(Event<'_>)) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match (self.state, self.pinged) {
            (State::Open, None) => {
                frame::put(out, Opcode::Ping, &[]);
                self.pinged = Some(now);
            }
            (State::Open, Some(_)) => {
                let said = Close { code: close::INTERNAL_ERROR, reason: "keepalive ping timeout".into() };
                self.end(said, out, tell);
            }
            _ => self.state = State::Over,
        }
    }

    /// Ends the WebSocket from here: the client and the application are told the same.
    pub fn end(&mut self, said: Close, out: &mut Vec<u8>, tell: &mut impl FnMut(Event<'_>)) {
        if self.state == State::Open {
            frame::put(out, Opcode::Close, &said.payload());
            tell(Event::Closed(said));
        }
        self.state = State::Over;
    }

    fn fail(&mut self, fault: Fault, out: &mut Vec<u8>) -> Result<(), Fault> {
        frame::put(out, Opcode::Close, &Close::with_code(close::INTERNAL_ERROR).payload());
        self.state = State::Over;
        Err(fault)
    }
}

#[cfg(test)]
mod tests;
