//! What travels of a WebSocket besides its messages: that it is accepted, and that it is closed.

use crate::codec::{DecodeError, Reader, Wire, put_bytes};
use crate::response::{Headers, put_headers};
use crate::{header, limits};

/// The head by which an application accepts a WebSocket. What [`Accept::decode`] returns keeps to the rules of
/// [`header`] and of [`may_be_added`].
#[derive(Debug, Clone)]
pub struct Accept<'a> {
    /// The sub-protocol, a token; that the client offers it is for the child to check.
    pub subprotocol: Option<&'a [u8]>,
    /// Header lines in the application's order.
    pub headers: Headers<'a>,
}

/// Appends the payload of an `Accept` frame.
pub fn put_accept<'h>(
    out: &mut Vec<u8>,
    subprotocol: Option<&[u8]>,
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
) {
    put_bytes(out, subprotocol.unwrap_or_default());
    put_headers(out, headers);
}

impl<'a> Accept<'a> {
    /// Reads the payload of an `Accept` frame.
    ///
    /// # Errors
    /// If the sub-protocol or a line breaks the rules.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(payload);
        let subprotocol = Some(from.bytes()?).filter(|name| !name.is_empty());
        if subprotocol.is_some_and(|name| !is_subprotocol(name)) {
            return Err(DecodeError::Header);
        }
        let headers = Headers::decode(from.rest())?;
        if headers.clone().flatten().any(|(name, _)| !may_be_added(name)) {
            return Err(DecodeError::Header);
        }
        Ok(Self { subprotocol, headers })
    }
}

/// Whether these bytes may be the name of a sub-protocol: a token (RFC 6455 §4.1).
pub fn is_subprotocol(name: &[u8]) -> bool {
    name.len() <= limits::SUBPROTOCOL && header::is_name(name)
}

/// Whether an application may add a header of this name to the head that grants a WebSocket: those of the handshake
/// itself are the server's, and the head has no content (RFC 9110 §15.2).
pub fn may_be_added(name: &[u8]) -> bool {
    const RESERVED: [&[u8]; 4] = [b"connection", b"upgrade", b"content-length", b"transfer-encoding"];
    const HANDSHAKE: &[u8] = b"sec-websocket-";
    let is_handshake = name.get(..HANDSHAKE.len()).is_some_and(|start| start.eq_ignore_ascii_case(HANDSHAKE));
    !is_handshake && !RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// The end of a WebSocket. From the child: the client sends nothing more, for this reason. From the daemon: the
/// application closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// The code of RFC 6455 §7.4; from the child also one that never travels there (1005, 1006).
    pub code: u16,
    /// The reason, at most [`limits::CLOSE_REASON`] bytes.
    pub reason: String,
}

impl Wire for Close {
    fn put(&self, out: &mut Vec<u8>) {
        self.code.put(out);
        self.reason.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (code, reason) = (u16::get(from)?, String::get(from)?);
        let may_be = (1000..=4999).contains(&code) && reason.len() <= limits::CLOSE_REASON;
        if may_be { Ok(Self { code, reason }) } else { Err(DecodeError::Close) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(subprotocol: &str, headers: &[(&str, &str)]) -> Result<usize, DecodeError> {
        let mut data = Vec::new();
        let lines = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        put_accept(&mut data, Some(subprotocol.as_bytes()), lines);
        let accept = Accept::decode(&data)?;
        assert_eq!(accept.subprotocol.unwrap_or_default(), subprotocol.as_bytes());
        assert!((0..data.len()).all(|end| Accept::decode(&data[..end]).is_err()));
        Ok(accept.headers.count())
    }

    #[test]
    fn an_accept_comes_back_as_it_was() {
        assert_eq!(accepted("", &[]), Ok(0));
        assert_eq!(accepted("chat.v2", &[("Set-Cookie", "a=b"), ("X-Sec-WebSocket-Key", "")]), Ok(2));
    }

    #[test]
    fn what_belongs_to_the_handshake_is_refused() {
        for name in ["Connection", "upgrade", "Content-Length", "Transfer-Encoding", "SEC-WEBSOCKET-Accept", "a b"] {
            assert!(accepted("", &[(name, "1")]).is_err(), "{name}");
        }
        for name in ["a b", "a,b", "a\r\nb", &"a".repeat(limits::SUBPROTOCOL + 1)] {
            assert_eq!(accepted(name, &[]), Err(DecodeError::Header), "{name}");
        }
    }

    #[test]
    fn a_close_has_a_code_and_room_for_its_reason() {
        let close = |code, length| Close { code, reason: "x".repeat(length) };
        for close in [close(1000, 0), close(1006, 123), close(4999, 5)] {
            assert_eq!(Close::from_bytes(&close.to_bytes()), Ok(close));
        }
        for close in [close(0, 0), close(999, 0), close(5000, 0), close(1000, 124)] {
            assert_eq!(Close::from_bytes(&close.to_bytes()), Err(DecodeError::Close));
        }
    }
}
