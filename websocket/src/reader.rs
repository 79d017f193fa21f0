//! The reading of a client's bytes as messages.

use crate::close::{Close, Violation};
use crate::deflate::Codec;
use crate::frame::{self, Header, LONGEST_HEADER, Opcode};
use crate::text::Utf8;

/// How many bytes of a message are collected before they are handed on.
const PIECE: usize = 64 << 10;

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The message is UTF-8.
    Text,
    /// The message is any bytes.
    Binary,
}

/// A message, or a part of one, that a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<'a> {
    /// The next piece of a message, which may be empty, and whether it is the last one. Where the message is a text it
    /// is UTF-8, but may begin and end inside of a character.
    Piece(Kind, &'a [u8], bool),
    /// A ping, which has to be answered.
    Ping(&'a [u8]),
    /// A pong: the client is there.
    Pong,
    /// A close: the last thing that the client sends.
    Close(Close),
}

/// Reads frames, in whatever pieces they come.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The largest message that is taken, bytes.
    limit: usize,
    /// Whether messages may come compressed.
    is_deflate: bool,
    header: Partial,
    frame: Option<Frame>,
    message: Option<Message>,
    /// The payload of a control frame, as far as it has come.
    control: Vec<u8>,
    is_closed: bool,
}

/// The part of a header that has come.
#[derive(Debug, Default)]
struct Partial {
    bytes: [u8; LONGEST_HEADER],
    length: usize,
}

/// The frame whose payload is coming.
#[derive(Debug)]
struct Frame {
    header: Header,
    /// How many bytes of the payload have come.
    done: u64,
}

/// The message whose frames are coming.
#[derive(Debug)]
struct Message {
    kind: Kind,
    is_compressed: bool,
    /// How many bytes its frames have, that of the current frame included.
    size: u64,
    text: Utf8,
    /// The bytes that have not been handed on yet.
    collected: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(limit: usize, is_deflate: bool) -> Self {
        Self {
            limit,
            is_deflate,
            header: Partial::default(),
            frame: None,
            message: None,
            control: Vec::new(),
            is_closed: false,
        }
    }

    /// Reads the bytes that have come, and hands on what is in them. What follows a close is ignored.
    ///
    /// # Errors
    /// A breach of the protocol. Nothing may be read after that.
    pub(crate) fn read(
        &mut self,
        mut input: &mut [u8],
        codec: &mut Codec,
        take: &mut impl FnMut(Received<'_>),
    ) -> Result<(), Violation> {
        while !self.is_closed {
            let Some(frame) = &mut self.frame else {
                if input.is_empty() {
                    break;
                }
                let Some((header, taken)) = self.header.take(input)? else { break };
                input = input.get_mut(taken..).unwrap_or_default();
                self.begin(header)?;
                continue;
            };
            let rest = frame.header.length - frame.done;
            let length = usize::try_from(rest).map_or(input.len(), |rest| rest.min(input.len()));
            if length == 0 && rest > 0 {
                break;
            }
            let (payload, behind) = input.split_at_mut(length);
            input = behind;
            frame::mask(payload, frame.header.mask, frame.done);
            frame.done += length as u64;
            let (header, is_over) = (frame.header, frame.done == frame.header.length);
            if is_over {
                self.frame = None;
            }
            if header.opcode.is_control() {
                self.control(header.opcode, payload, is_over, take)?;
            } else {
                self.data(payload, is_over && header.is_last, codec, take)?;
            }
        }
        Ok(())
    }

    /// Begins a frame with this header.
    fn begin(&mut self, header: Header) -> Result<(), Violation> {
        let limit = self.limit;
        if header.is_compressed && !self.is_deflate {
            return Err(Violation::Protocol("a message is compressed that must not be"));
        }
        let kind = match header.opcode {
            Opcode::Continuation => None,
            Opcode::Text => Some(Kind::Text),
            Opcode::Binary => Some(Kind::Binary),
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.frame = Some(Frame { header, done: 0 });
                return Ok(());
            }
        };
        let message = match (kind, &mut self.message) {
            (None, None) => return Err(Violation::Protocol("a message is continued that has not begun")),
            (Some(_), Some(_)) => return Err(Violation::Protocol("a message begins inside of another one")),
            (None, Some(message)) => {
                if header.is_compressed {
                    return Err(Violation::Protocol("a message is compressed from its middle on"));
                }
                message
            }
            (Some(kind), message) => message.insert(Message {
                kind,
                is_compressed: header.is_compressed,
                size: 0,
                text: Utf8::default(),
                collected: Vec::new(),
            }),
        };
        message.size = message.size.saturating_add(header.length);
        if message.size > limit as u64 {
            return Err(Violation::TooBig { limit });
        }
        self.frame = Some(Frame { header, done: 0 });
        Ok(())
    }

    fn control(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        is_over: bool,
        take: &mut impl FnMut(Received<'_>),
    ) -> Result<(), Violation> {
        let whole = if self.control.is_empty() && is_over {
            payload
        } else {
            self.control.extend_from_slice(payload);
            &self.control
        };
        if !is_over {
            return Ok(());
        }
        match opcode {
            Opcode::Ping => take(Received::Ping(whole)),
            Opcode::Close => {
                take(Received::Close(Close::of_client(whole)?));
                self.is_closed = true;
            }
            _ => take(Received::Pong),
        }
        self.control.clear();
        Ok(())
    }

    fn data(
        &mut self,
        payload: &[u8],
        is_last: bool,
        codec: &mut Codec,
        take: &mut impl FnMut(Received<'_>),
    ) -> Result<(), Violation> {
        let Some(message) = &mut self.message else { return Ok(()) };
        if message.is_compressed {
            message.collected.extend_from_slice(payload);
            if is_last {
                let Some(Message { kind, mut text, collected, .. }) = self.message.take() else { return Ok(()) };
                return codec.inflate(&collected, self.limit, |piece, is_last| {
                    check(kind, &mut text, piece, is_last)?;
                    take(Received::Piece(kind, piece, is_last));
                    Ok(())
                });
            }
            return Ok(());
        }
        check(message.kind, &mut message.text, payload, is_last)?;
        if message.collected.is_empty() && (is_last || payload.len() >= PIECE) {
            take(Received::Piece(message.kind, payload, is_last));
        } else {
            message.collected.extend_from_slice(payload);
            if is_last || message.collected.len() >= PIECE {
                take(Received::Piece(message.kind, &message.collected, is_last));
                message.collected.clear();
            }
        }
        if is_last {
            self.message = None;
        }
        Ok(())
    }
}

/// Checks that a piece of a message may be part of its text.
fn check(kind: Kind, text: &mut Utf8, piece: &[u8], is_last: bool) -> Result<(), Violation> {
    let is_right = kind == Kind::Binary || (text.take(piece) && (!is_last || text.may_end()));
    if is_right { Ok(()) } else { Err(Violation::Text) }
}

impl Partial {
    /// Completes the header that has come in part. Returns how much of the input it takes, too; `None` if the input is
    /// only a part of the header, which is kept.
    fn take(&mut self, input: &[u8]) -> Result<Option<(Header, usize)>, Violation> {
        if self.length == 0 {
            if let Some(found) = Header::of_client(input)? {
                return Ok(Some(found));
            }
        }
        let before = self.length;
        let room = self.bytes.get_mut(before..).unwrap_or_default();
        let length = room.len().min(input.len());
        room[..length].copy_from_slice(&input[..length]);
        self.length += length;
        let found = Header::of_client(&self.bytes[..self.length])?;
        if found.is_some() {
            self.length = 0;
        }
        Ok(found.map(|(header, length)| (header, length - before)))
    }
}
