//! The head of a response, status line and headers: what `start_response` may be given (PEP 3333, stricter where a
//! response could be split: [`wsgi_wire::header`]). Pure: bytes in, decisions out.

use std::fmt;
use std::io::Write;
use std::ops::Range;

use wsgi_wire::{header, limits};

/// Status line and headers, each part valid by itself. All their text is in one place: most heads fit into what is
/// allocated at first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// The status code, 200 to 999.
    pub(crate) status: u16,
    /// The reason phrase, and behind it the names and values, also of headers that [`Head::frame`] has taken out.
    text: Vec<u8>,
    /// How long the reason phrase is.
    reason: usize,
    /// The headers in the application's order.
    headers: Vec<Header>,
}

/// Where name and value of a header are in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    name: Range<usize>,
    value: Range<usize>,
}

impl Header {
    fn name<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.name.clone()]
    }

    fn value<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.value.clone()]
    }
}

/// The room that a head has at first, in bytes and in headers.
const ROOM: (usize, usize) = (256, 8);

/// How many bytes a header takes on the wire beside its name and value: their lengths.
const LENGTHS: usize = 8;

/// How many bytes a head takes on the wire beside reason and headers; a Content-Length that is added included.
const REST: usize = 64;

/// Why `start_response` refuses its arguments, or the head cannot be sent. All are `ValueError`s in Python.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeadError {
    /// The status line does not begin with three digits.
    #[error("status code must be a 3 digit integer: {0}")]
    StatusCode(Repr),
    /// The number cannot be the status of a response: interim ones are Apache's.
    #[error("status code must be a final one, 200 to 999: {0}")]
    NotFinal(Repr),
    /// Something other than a space follows the digits.
    #[error("no space following status code: {0}")]
    NoSpace(Repr),
    /// The reason phrase has a line end or the like.
    #[error("control character in status reason phrase: {0}")]
    Reason(Repr),
    /// A header has no name.
    #[error("header name is empty")]
    EmptyName,
    /// A header's name has a line end or the like.
    #[error("control character in header name: {0}")]
    NameControl(Repr),
    /// A header's name has a space.
    #[error("space character in header name: {0}")]
    NameSpace(Repr),
    /// A header's name has another character that no name may have (RFC 9110, 5.1).
    #[error("invalid character in header name: {0}")]
    NameCharacter(Repr),
    /// A header's value has a line end or the like.
    #[error("carriage return/line feed character in header value: {0}")]
    ValueLine(Repr),
    /// A header's value has another control character.
    #[error("control character in header value: {0}")]
    ValueControl(Repr),
    /// The Content-Length is not a number.
    #[error("invalid Content-Length header value: '{0}'")]
    ContentLength(String),
    /// The head is larger than [`limits::RESPONSE_HEADERS`] or [`limits::RESPONSE_HEAD`] allows.
    #[error("more response headers than {} in number or {} in bytes", limits::RESPONSE_HEADERS, limits::RESPONSE_HEAD)]
    TooMany,
}

/// Bytes as Python shows them: `b'…'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repr(Vec<u8>);

impl fmt::Display for Repr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("b'")?;
        for byte in &self.0 {
            match byte {
                b'\n' => f.write_str("\\n")?,
                b'\r' => f.write_str("\\r")?,
                b'\t' => f.write_str("\\t")?,
                b'\\' | b'\'' => write!(f, "\\{}", *byte as char)?,
                b' '..=b'~' => write!(f, "{}", *byte as char)?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_str("'")
    }
}

fn repr(bytes: &[u8]) -> Repr {
    Repr(bytes.to_vec())
}

impl Head {
    /// Makes a head without headers.
    ///
    /// # Errors
    /// If the status is invalid.
    pub(crate) fn new(status: &[u8]) -> Result<Self, HeadError> {
        let (code, rest) = match status {
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..]
                if !rest.first().is_some_and(u8::is_ascii_digit) =>
            {
                (u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'), rest)
            }
            _ => return Err(HeadError::StatusCode(repr(status))),
        };
        if !header::is_final(code) {
            return Err(HeadError::NotFinal(repr(status)));
        }
        let reason = match rest {
            [] => rest,
            [b' ', reason @ ..] => reason,
            _ => return Err(HeadError::NoSpace(repr(status))),
        };
        if !header::is_reason(reason) {
            return Err(HeadError::Reason(repr(status)));
        }
        let (mut text, headers) = (Vec::with_capacity(ROOM.0), Vec::with_capacity(ROOM.1));
        text.extend_from_slice(reason);
        Ok(Self { status: code, text, reason: reason.len(), headers })
    }

    /// The reason phrase.
    pub(crate) fn reason(&self) -> &[u8] {
        &self.text[..self.reason]
    }

    /// Names and values in the application's order.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|header| (header.name(&self.text), header.value(&self.text)))
    }

    /// Adds a header.
    ///
    /// # Errors
    /// If it could not be sent as exactly this header.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        if name.is_empty() {
            return Err(HeadError::EmptyName);
        }
        if !header::is_name(name) {
            return Err(match () {
                () if name.iter().any(u8::is_ascii_control) => HeadError::NameControl(repr(name)),
                () if name.contains(&b' ') => HeadError::NameSpace(repr(name)),
                () => HeadError::NameCharacter(repr(name)),
            });
        }
        if !header::is_value(value) {
            let line = value.iter().any(|b| matches!(b, b'\r' | b'\n'));
            return Err(if line { HeadError::ValueLine(repr(value)) } else { HeadError::ValueControl(repr(value)) });
        }
        let size = self.wire_size() + name.len() + value.len() + LENGTHS;
        // One header more may be ours.
        if self.headers.len() + 2 > limits::RESPONSE_HEADERS || size > limits::RESPONSE_HEAD {
            return Err(HeadError::TooMany);
        }
        self.add(name, |text| text.extend_from_slice(value));
        Ok(())
    }

    fn add(&mut self, name: &[u8], put_value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        self.text.extend_from_slice(name);
        let middle = self.text.len();
        put_value(&mut self.text);
        self.headers.push(Header { name: start..middle, value: middle..self.text.len() });
    }

    /// How many bytes the head takes on the wire, rounded up.
    pub(crate) fn wire_size(&self) -> usize {
        self.text.len() + self.headers.len() * LENGTHS + REST
    }

    /// Brings the headers that frame the body into one consistent form, and returns the length that the application
    /// declared.
    ///
    /// `Transfer-Encoding` is the connection's business and left out (PEP 3333, "Other HTTP Features").
    pub(super) fn frame(&mut self) -> Result<Option<u64>, HeadError> {
        let (mut length, mut lengths, text) = (None, 0, &self.text);
        for header in self.headers.iter_mut().filter(|header| header::is_length(header.name(text))) {
            // Spaces in front are no part of a value (RFC 9110, 5.5).
            let value = header.value(text).trim_ascii_start();
            header.value.start = header.value.end - value.len();
            let Some(number) = header::length(value) else {
                return Err(HeadError::ContentLength(String::from_utf8_lossy(value).into_owned()));
            };
            (length, lengths) = (Some(number), lengths + 1);
        }
        // Of several the last one counts, and is the one that is sent.
        self.headers.retain(|header| {
            let name = header.name(text);
            let counts = header::is_length(name);
            lengths -= usize::from(counts);
            let replaced = counts && lengths > 0;
            !replaced && !name.eq_ignore_ascii_case(b"Transfer-Encoding")
        });
        Ok(length)
    }

    /// Adds a Content-Length to a head that has none.
    pub(super) fn declare(&mut self, length: u64) {
        self.add(b"Content-Length", |text| {
            // Writing to memory cannot fail.
            let _ = write!(text, "{length}");
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_are_fine() {
        for (text, code, reason) in
            [("200 OK", 200, "OK"), ("299", 299, ""), ("200 ", 200, ""), ("999 na\u{ef}ve", 999, "na\u{ef}ve")]
        {
            let head = Head::new(text.as_bytes()).unwrap();
            assert_eq!((head.status, head.reason()), (code, reason.as_bytes()), "{text}");
        }
    }

    #[test]
    fn statuses_that_are_none() {
        for text in ["", "OK", "20 OK", "2000 OK", "20x OK", "-20 OK", " 200 OK"] {
            assert!(matches!(Head::new(text.as_bytes()), Err(HeadError::StatusCode(_))), "{text:?}");
        }
        for text in ["200OK", "200\tOK"] {
            assert!(matches!(Head::new(text.as_bytes()), Err(HeadError::NoSpace(_))), "{text:?}");
        }
        for text in ["000 X", "099 X", "100 Continue", "199"] {
            assert!(matches!(Head::new(text.as_bytes()), Err(HeadError::NotFinal(_))), "{text:?}");
        }
        for text in ["200 OK\r\nX-Evil: 1", "200 O\x07K", "200 a\0b"] {
            assert!(matches!(Head::new(text.as_bytes()), Err(HeadError::Reason(_))), "{text:?}");
        }
    }

    fn push(name: &str, value: &str) -> Result<(), HeadError> {
        Head::new(b"200 OK").unwrap().push(name.as_bytes(), value.as_bytes())
    }

    #[test]
    fn headers_that_would_be_others() {
        assert_eq!(push("", "a"), Err(HeadError::EmptyName));
        assert!(matches!(push("X\n", "a"), Err(HeadError::NameControl(_))));
        assert!(matches!(push("X\0", "a"), Err(HeadError::NameControl(_))));
        assert!(matches!(push("X Y", "a"), Err(HeadError::NameSpace(_))));
        assert!(matches!(push("X:", "a"), Err(HeadError::NameCharacter(_))));
        assert!(matches!(push("X\u{e9}", "a"), Err(HeadError::NameCharacter(_))));
        assert!(matches!(push("X", "a\r\nSet-Cookie: b"), Err(HeadError::ValueLine(_))));
        assert!(matches!(push("X", "a\0"), Err(HeadError::ValueControl(_))));
        assert_eq!(push("X", ""), Ok(()));
        assert_eq!(push("X", "a\tb"), Ok(()));
    }

    #[test]
    fn a_head_that_no_client_would_take_is_refused_before_it_is_sent() {
        let mut head = Head::new(b"200 OK").unwrap();
        let refused = (0..limits::RESPONSE_HEADERS).find_map(|_| head.push(b"X", b"y").err());
        assert_eq!(refused, Some(HeadError::TooMany));
        assert_eq!(push("X", &"y".repeat(limits::RESPONSE_HEAD)), Err(HeadError::TooMany));
        assert_eq!(push("X", &"y".repeat(limits::RESPONSE_HEAD / 2)), Ok(()));
    }

    #[test]
    fn bytes_look_like_pythons() {
        assert_eq!(repr(b"a'b\\\r\n\xff").to_string(), "b'a\\'b\\\\\\r\\n\\xff'");
    }
}
