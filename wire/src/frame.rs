//! Frames: an eight-byte header (payload length, kind, flags, exchange) and the payload.

use crate::codec::{DecodeError, byte_enum};
use crate::limits;

/// The size of a frame header, bytes.
pub const HEADER: usize = 8;

byte_enum! {
    /// The kind of a frame. `docs/architecture.md` says who sends which, and in what order.
    pub enum Kind {
        /// Child → daemon, first on a connection: [`crate::request::Hello`].
        Hello = 1,
        /// Child → daemon: [`crate::request::Route`].
        Route = 2,
        /// Child → daemon: [`crate::request::Request`].
        Request = 3,
        /// Child → daemon, the answer to `Pull`: one to `max` bytes of the request body.
        Body = 4,
        /// Child → daemon, the answer to `Pull`: the body is over, no payload.
        BodyEnd = 5,
        /// Child → daemon, the answer to `Pull`: [`crate::request::BodyError`].
        BodyError = 6,
        /// Child → daemon, the answer to `Variable`: the value (`Option` of bytes, at most [`limits::VARIABLE`]).
        Value = 7,
        /// Child → daemon, no payload, once in an exchange of ASGI: the client has closed its side of the connection,
        /// and sends nothing more. Who cannot be sent anything either is told by the end of the connection.
        Disconnect = 8,
        /// Both ways, once a WebSocket is accepted: a piece of a message that is text, which may end inside of a
        /// character. All pieces but the last have the flag `MORE`.
        Text = 9,
        /// Both ways, once a WebSocket is accepted: a piece of a message that is bytes, as [`Kind::Text`].
        Binary = 10,
        /// Both ways, once a WebSocket is accepted: [`crate::websocket::Close`]. The last frame of its sender.
        Close = 11,
        /// Daemon → child: [`crate::response::Reject`]; the request was not executed.
        Reject = 16,
        /// Daemon → child: a `u32`, the number of bytes of the body that it takes now at the most.
        Pull = 17,
        /// Daemon → child: [`crate::record::LogRecord`].
        Log = 18,
        /// Daemon → child: [`crate::response::Head`].
        Head = 19,
        /// Daemon → child: bytes of the response body.
        Data = 20,
        /// Daemon → child: [`crate::response::File`]; the descriptor comes with the frame's first byte (SCM_RIGHTS).
        File = 21,
        /// Daemon → child: [`crate::response::End`]; the request is over, the connection is free.
        End = 22,
        /// Daemon → child: [`crate::response::Fail`] instead of a head; the request is over, the connection is free.
        Fail = 23,
        /// Daemon → child, before a head, any number of times: header lines ([`crate::response::Headers`]) for a `103
        /// Early Hints`.
        EarlyHints = 24,
        /// Daemon → child: [`crate::question::Answer`] instead of a response; the request is over, the connection is
        /// free.
        Answer = 25,
        /// Daemon → child: the name (bytes) of a variable of mod_ssl about the client's connection.
        Variable = 26,
        /// Daemon → child, instead of a head: [`crate::websocket::Accept`]. The connection carries the WebSocket to its
        /// end, and no other request.
        Accept = 27,
        /// Daemon → child, once, behind the content of a response and before its `End`: header lines
        /// ([`crate::response::Headers`]) that follow it.
        Trailers = 28,
        /// Daemon → child, once on a connection, no payload: the memory for content ([`crate::ring`]); its
        /// descriptor comes with the frame's first byte (SCM_RIGHTS).
        Ring = 29,
        /// Daemon → child: a `u32`, so many bytes of the response body are in that memory behind those of which such
        /// frames have told before.
        Filled = 30,
        /// Parent → supervisor: [`crate::control::Configure`].
        Configure = 32,
        /// Parent → supervisor, no payload: stop everything and end.
        Stop = 33,
        /// Administrator → supervisor: [`crate::control::Restart`].
        Restart = 34,
        /// Supervisor → administrator: [`crate::control::Restarted`], for each group; then it closes.
        Restarted = 35,
        /// Administrator → supervisor, no payload: asks for the status of the server.
        Ask = 36,
        /// Supervisor → administrator: [`crate::status::Status`]; then it closes.
        Status = 37,
        /// Parent → supervisor, no payload: the parent serves requests itself (`httpd -X`), with fewer rights than it
        /// had: no other configuration comes.
        Settled = 38,
        /// Parent → supervisor, no payload: a configuration is about to be read. `Configure` follows within
        /// [`limits::READING`] seconds, or never.
        Reading = 39,
        /// Supervisor → daemon: [`crate::settings::Daemon`].
        Start = 40,
        /// Supervisor → daemon: [`crate::control::Drain`].
        Drain = 41,
        /// Supervisor → daemon, no payload: no successor can take over; serve on with the code that is loaded.
        Resume = 42,
        /// Daemon → supervisor: [`crate::control::Ready`].
        Ready = 48,
        /// Daemon → supervisor: [`crate::control::Draining`].
        Draining = 49,
        /// Daemon → supervisor: [`crate::control::Retiring`].
        Retiring = 50,
        /// Daemon → supervisor: [`crate::settings::Preload`], once for each script that requests have come for.
        Loaded = 51,
        /// Daemon → supervisor, no payload, where `server-metrics` is on: it waits for a new
        /// [`crate::scoreboard::Scoreboard`].
        ScoreboardWanted = 52,
    }
}

impl Kind {
    /// The longest payload that a frame of this kind may have, bytes: a receiver has to hold that much until it is all
    /// there.
    pub fn longest(self) -> usize {
        match self {
            Self::Head => limits::RESPONSE_HEAD,
            Self::EarlyHints => limits::HINTS_BYTES,
            Self::Data => limits::INLINE_CHUNK,
            Self::Log => limits::LOG_MESSAGE,
            Self::Answer => limits::ANSWER,
            Self::Body => limits::PULL as usize,
            Self::Variable => limits::VARIABLE_NAME + size_of::<u32>(),
            Self::Value => limits::VARIABLE + 1 + size_of::<u32>(),
            Self::Reject | Self::Pull | Self::File | Self::End | Self::Fail => 64,
            Self::BodyEnd | Self::BodyError | Self::Disconnect | Self::Ring | Self::Filled => 64,
            Self::Accept | Self::Trailers => limits::RESPONSE_HEAD,
            Self::Text | Self::Binary => limits::MESSAGE_PIECE,
            Self::Close => 256,
            _ => limits::FRAME,
        }
    }

    /// The flags that a frame of this kind may have.
    fn flags(self) -> u8 {
        if matches!(self, Self::Text | Self::Binary) { MORE } else { 0 }
    }
}

/// The flag of a piece that is not the last one of its message.
const MORE: u8 = 1;

/// A frame as it lies in a receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The kind of the frame.
    pub kind: Kind,
    /// The exchange of the connection that it belongs to, by the number that the Apache child has given to the request;
    /// 0 outside of exchanges.
    pub exchange: u16,
    /// Whether another piece of the same message follows.
    pub is_more: bool,
    /// The bytes that the frame carries.
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// How many bytes the frame takes in the buffer.
    pub fn size(&self) -> usize {
        HEADER + self.payload.len()
    }
}

/// Returns the kind of the first frame of a buffer and the length of its payload, or `None` while its header is not all
/// there. For a receiver that has a place of its own for the payload.
///
/// # Errors
/// If there is no such kind, it has no such flags, or the payload is longer than that may have.
pub fn announced(buffer: &[u8]) -> Result<Option<(Kind, usize)>, DecodeError> {
    let Some([a, b, c, d, kind, flags, ..]) = buffer.first_chunk::<HEADER>() else { return Ok(None) };
    let length = u32::from_ne_bytes([*a, *b, *c, *d]) as usize;
    let kind = Kind::try_from(*kind)?;
    if flags & !kind.flags() != 0 {
        return Err(DecodeError::Unknown((*flags).into()));
    }
    if length > kind.longest() {
        return Err(DecodeError::TooLong(length));
    }
    Ok(Some((kind, length)))
}

/// Returns the first frame of a buffer, or `None` while it is not all there. A receiver drops [`Frame::size`] bytes and
/// asks again.
///
/// # Errors
/// As [`announced`].
pub fn first(buffer: &[u8]) -> Result<Option<Frame<'_>>, DecodeError> {
    let Some((kind, length)) = announced(buffer)? else { return Ok(None) };
    let (is_more, exchange) = (buffer[5] != 0, u16::from_ne_bytes([buffer[6], buffer[7]]));
    Ok(buffer.get(HEADER..HEADER + length).map(|payload| Frame { kind, exchange, is_more, payload }))
}

/// How many bytes the first frame of a buffer needs in all, as far as that is known.
pub fn needed(buffer: &[u8]) -> usize {
    match buffer.first_chunk::<4>() {
        Some(length) => HEADER + (u32::from_ne_bytes(*length) as usize).min(limits::FRAME),
        None => HEADER,
    }
}

/// How much room a receiver makes behind what it has of a frame: for the rest of the frame, but never for more than
/// twice what is there, or for `usual`. A header alone costs the peer nothing, so it must not cost the receiver
/// anything either.
pub fn room(buffer: &[u8], usual: usize) -> usize {
    let missing = needed(buffer).saturating_sub(buffer.len());
    missing.min(buffer.len()).max(usual)
}

/// Appends a frame outside of exchanges, whose payload `write` appends.
///
/// # Errors
/// [`DecodeError::TooLong`] if the payload exceeds [`Kind::longest`]; `out` is then as it was.
pub fn put(out: &mut Vec<u8>, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), DecodeError> {
    put_in(0, out, kind, write)
}

/// Appends a frame of the exchange with this number, whose payload `write` appends.
///
/// # Errors
/// As [`put`].
pub fn put_in(
    exchange: u16,
    out: &mut Vec<u8>,
    kind: Kind,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(), DecodeError> {
    let (start, [s, t]) = (out.len(), exchange.to_ne_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, kind as u8, 0, s, t]);
    write(out);
    let length = out.len() - start - HEADER;
    if length > kind.longest() {
        out.truncate(start);
        return Err(DecodeError::TooLong(length));
    }
    out[start..start + 4].copy_from_slice(&(length as u32).to_ne_bytes());
    Ok(())
}

/// Appends a message of a WebSocket, or a part of one: as many pieces as it needs, at least one. `is_last`: the message
/// ends with it.
pub fn put_message(exchange: u16, out: &mut Vec<u8>, kind: Kind, content: &[u8], is_last: bool) {
    let mut rest = content;
    loop {
        let (piece, behind) = rest.split_at(rest.len().min(limits::MESSAGE_PIECE));
        let is_more = !(is_last && behind.is_empty());
        let [a, b, c, d] = (piece.len() as u32).to_ne_bytes();
        let [s, t] = exchange.to_ne_bytes();
        out.extend_from_slice(&[a, b, c, d, kind as u8, if is_more { MORE } else { 0 }, s, t]);
        out.extend_from_slice(piece);
        rest = behind;
        if rest.is_empty() {
            return;
        }
    }
}

/// Makes the header of a frame outside of exchanges whose payload of `length` bytes is sent from elsewhere (a large
/// chunk, without copying it).
///
/// # Errors
/// [`DecodeError::TooLong`] above [`Kind::longest`].
pub fn header(kind: Kind, length: usize) -> Result<[u8; HEADER], DecodeError> {
    header_in(0, kind, length)
}

/// Makes such a header for a frame of the exchange with this number.
///
/// # Errors
/// As [`header`].
pub fn header_in(exchange: u16, kind: Kind, length: usize) -> Result<[u8; HEADER], DecodeError> {
    if length > kind.longest() {
        return Err(DecodeError::TooLong(length));
    }
    let [a, b, c, d] = (length as u32).to_ne_bytes();
    let [s, t] = exchange.to_ne_bytes();
    Ok([a, b, c, d, kind as u8, 0, s, t])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_split_wherever_the_data_was_cut() {
        let mut data = Vec::new();
        put(&mut data, Kind::Data, |out| out.extend_from_slice(b"hello")).unwrap();
        put_in(0x1234, &mut data, Kind::End, |out| out.push(0)).unwrap();
        for n in 0..HEADER + 5 {
            assert_eq!(first(&data[..n]), Ok(None), "{n}");
            assert_eq!(announced(&data[..n]), Ok((n >= HEADER).then_some((Kind::Data, 5))), "{n}");
        }
        let frame = first(&data).unwrap().unwrap();
        assert_eq!((frame.kind, frame.payload, frame.size()), (Kind::Data, &b"hello"[..], 13));
        let next = first(&data[frame.size()..]).unwrap().unwrap();
        assert_eq!((frame.exchange, next.kind, next.exchange, next.payload), (0, Kind::End, 0x1234, &[0][..]));
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_anything_is_awaited() {
        for kind in [Kind::Request, Kind::Head, Kind::EarlyHints, Kind::Data, Kind::End, Kind::Text, Kind::Close] {
            let length = kind.longest() + 1;
            let mut data = (length as u32).to_ne_bytes().to_vec();
            data.extend_from_slice(&[kind as u8, 0, 0, 0]);
            assert_eq!(first(&data), Err(DecodeError::TooLong(length)));
            assert_eq!(announced(&data), Err(DecodeError::TooLong(length)));
            assert!(header(kind, length).is_err());
            assert!(put(&mut Vec::new(), kind, |out| out.extend(vec![0; length])).is_err());
        }
    }

    #[test]
    fn room_grows_with_what_has_arrived_and_not_with_what_is_announced() {
        let mut data = header(Kind::Request, limits::FRAME).unwrap().to_vec();
        assert_eq!(room(&data, 100), 100);
        data.resize(5000, 0);
        assert_eq!(room(&data, 100), 5000);
        data.resize(HEADER + limits::FRAME - 7, 0);
        assert_eq!([room(&data, 1), room(&data, 100)], [7, 100]);
    }

    #[test]
    fn an_unknown_kind_is_refused() {
        assert_eq!(first(&[0, 0, 0, 0, 255, 0, 0, 0]), Err(DecodeError::Unknown(255)));
    }

    #[test]
    fn a_message_travels_in_pieces_of_which_the_last_says_so() {
        let long = vec![7; limits::MESSAGE_PIECE + 1];
        for (content, is_last) in [(&b""[..], true), (b"abc", true), (b"abc", false), (&long[..], true), (&long, false)]
        {
            let mut data = Vec::new();
            put_message(9, &mut data, Kind::Binary, content, is_last);
            let (mut rest, mut read, mut more) = (&data[..], Vec::new(), Vec::new());
            while let Some(frame) = first(rest).unwrap() {
                assert_eq!((frame.kind, frame.exchange), (Kind::Binary, 9));
                read.extend_from_slice(frame.payload);
                more.push(frame.is_more);
                rest = &rest[frame.size()..];
            }
            assert!(rest.is_empty() && read == content);
            assert_eq!(more.pop(), Some(!is_last));
            assert!(
                more.iter().all(|more| *more) && more.len() == content.len().saturating_sub(1) / limits::MESSAGE_PIECE
            );
        }
    }

    #[test]
    fn a_flag_that_the_kind_has_not_is_refused() {
        for (kind, flags) in [(Kind::Data, MORE), (Kind::Close, MORE), (Kind::Text, 2), (Kind::Text, MORE | 128)] {
            let mut data = header(kind, 0).unwrap();
            data[5] = flags;
            assert_eq!(first(&data), Err(DecodeError::Unknown(flags.into())));
        }
    }

    #[test]
    fn a_header_made_apart_is_the_same() {
        let mut data = Vec::new();
        put_in(7, &mut data, Kind::Data, |out| out.extend_from_slice(b"abc")).unwrap();
        assert_eq!(data[..HEADER], header_in(7, Kind::Data, 3).unwrap());
        assert_eq!(needed(&data), data.len());
    }
}
