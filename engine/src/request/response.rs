//! What a response means: the rules of `start_response` (PEP 3333, stricter where a response could be split: [`wsgi_wire::header`]), Content-Length,
//! and when the head is committed. Pure: bytes in, decisions out.

use std::fmt;

use wsgi_wire::header::HintsLeft;
use wsgi_wire::{header, limits};

/// Status line and headers, each part valid by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// 200 to 999.
    pub(crate) status: u16,
    /// The reason phrase.
    pub(crate) reason: Vec<u8>,
    /// Names and values in the application's order.
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// How many bytes reason and headers take on the wire.
    size: usize,
}

/// What a header takes on the wire beside its name and value, bytes: their lengths.
const LENGTHS: usize = 8;

/// What a head takes on the wire beside reason and headers, bytes; a Content-Length that is added included.
const REST: usize = 64;

/// Why `start_response` refuses its arguments, or the head cannot be sent. All are `ValueError`s in Python.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// Not three digits in front.
    #[error("status code must be a 3 digit integer: {0}")]
    StatusCode(Repr),
    /// A number that cannot be the status of a response: interim ones are Apache's.
    #[error("status code must be a final one, 200 to 999: {0}")]
    NotFinal(Repr),
    /// Something else follows the digits.
    #[error("no space following status code: {0}")]
    NoSpace(Repr),
    /// A line end or the like in the reason phrase.
    #[error("control character in status reason phrase: {0}")]
    Reason(Repr),
    /// A header without a name.
    #[error("header name is empty")]
    EmptyName,
    /// A line end or the like in a header's name.
    #[error("control character in header name: {0}")]
    NameControl(Repr),
    /// A space in a header's name.
    #[error("space character in header name: {0}")]
    NameSpace(Repr),
    /// Another character that no header name has (RFC 9110, 5.1).
    #[error("invalid character in header name: {0}")]
    NameCharacter(Repr),
    /// A line end or the like in a header's value.
    #[error("carriage return/line feed character in header value: {0}")]
    ValueLine(Repr),
    /// Another control character in a header's value.
    #[error("control character in header value: {0}")]
    ValueControl(Repr),
    /// No number.
    #[error("invalid Content-Length header value: '{0}'")]
    ContentLength(String),
    /// More than [`limits::RESPONSE_HEADERS`] or [`limits::RESPONSE_HEAD`].
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
    /// A head without headers yet.
    ///
    /// # Errors
    /// If the status is not one.
    pub(crate) fn new(status: &[u8]) -> Result<Self, Invalid> {
        let (code, rest) = match status {
            [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..]
                if !rest.first().is_some_and(u8::is_ascii_digit) =>
            {
                (u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'), rest)
            }
            _ => return Err(Invalid::StatusCode(repr(status))),
        };
        if !header::is_final(code) {
            return Err(Invalid::NotFinal(repr(status)));
        }
        let reason = match rest {
            [] => rest,
            [b' ', reason @ ..] => reason,
            _ => return Err(Invalid::NoSpace(repr(status))),
        };
        if !header::is_reason(reason) {
            return Err(Invalid::Reason(repr(status)));
        }
        Ok(Self { status: code, reason: reason.to_vec(), headers: Vec::new(), size: reason.len() })
    }

    /// Adds a header.
    ///
    /// # Errors
    /// If it could not be sent as exactly this header.
    pub(crate) fn push(&mut self, name: Vec<u8>, value: Vec<u8>) -> Result<(), Invalid> {
        if name.is_empty() {
            return Err(Invalid::EmptyName);
        }
        if !header::is_name(&name) {
            return Err(match () {
                () if name.iter().any(u8::is_ascii_control) => Invalid::NameControl(Repr(name)),
                () if name.contains(&b' ') => Invalid::NameSpace(Repr(name)),
                () => Invalid::NameCharacter(Repr(name)),
            });
        }
        if !header::is_value(&value) {
            let line = value.iter().any(|b| matches!(b, b'\r' | b'\n'));
            return Err(if line { Invalid::ValueLine(Repr(value)) } else { Invalid::ValueControl(Repr(value)) });
        }
        self.size = self.size.saturating_add(name.len() + value.len() + LENGTHS);
        // One header more may be ours.
        if self.headers.len() + 1 >= limits::RESPONSE_HEADERS || self.wire_size() > limits::RESPONSE_HEAD {
            return Err(Invalid::TooMany);
        }
        self.headers.push((name, value));
        Ok(())
    }

    /// How many bytes this takes on the wire: rather more than less.
    pub(crate) fn wire_size(&self) -> usize {
        self.size.saturating_add(REST)
    }

    /// Brings the headers that frame the body into one consistent form; the length that the application declared.
    ///
    /// `Transfer-Encoding` is the connection's business and left out (PEP 3333, "Other HTTP Features").
    fn frame(&mut self) -> Result<Option<u64>, Invalid> {
        let (mut length, mut lengths) = (None, 0);
        for (_, value) in self.headers.iter_mut().filter(|(name, _)| header::is_length(name)) {
            // Spaces in front are no part of a value (RFC 9110, 5.5).
            value.drain(..value.len() - value.trim_ascii_start().len());
            let Some(number) = header::length(value) else {
                return Err(Invalid::ContentLength(String::from_utf8_lossy(value).into_owned()));
            };
            (length, lengths) = (Some(number), lengths + 1);
        }
        // Of several the last one counts, and is the one that is sent.
        self.headers.retain(|(name, _)| {
            let counts = header::is_length(name);
            lengths -= usize::from(counts);
            let replaced = counts && lengths > 0;
            !replaced && !name.eq_ignore_ascii_case(b"Transfer-Encoding")
        });
        Ok(length)
    }
}

/// How far the answer to one request has come.
#[derive(Debug, Default)]
pub(crate) struct Response {
    start: Option<Head>,
    /// The status that was last given, also after the head has left.
    pub(crate) status: Option<u16>,
    committed: bool,
    /// Bytes of the declared length that are still to come.
    left: Option<u64>,
    /// The client asked for the head only.
    head_request: bool,
    content_allowed: bool,
    hints: HintsLeft,
    /// Whether hints have been left out already.
    hints_left_out: bool,
}

/// What becomes of early hints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hints {
    /// They are sent.
    Sent,
    /// They are too many or too long: they and all later ones are left out, which this call is the first to say.
    FirstLeftOut,
    /// As others before.
    LeftOut,
}

/// Why content cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// A `RuntimeError`.
    #[error("start_response() must be called before response content is produced")]
    NotStarted,
    /// A `ValueError`.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl Response {
    /// The answer to a request; `head_request` if its method is HEAD.
    pub(crate) fn new(head_request: bool) -> Self {
        Self { head_request, ..Self::default() }
    }

    /// Takes note of what `start_response` was given; until the head is committed a later call replaces an earlier one.
    pub(crate) fn start(&mut self, head: Head) {
        self.status = Some(head.status);
        self.start = Some(head);
    }

    /// Whether the head has left, so that status and headers are settled.
    pub(crate) fn committed(&self) -> bool {
        self.committed
    }

    /// Settles the head and gives it out for sending. `content` is the length of the whole body where that is known; it is declared unless the
    /// application did so itself.
    ///
    /// # Errors
    /// If there is no head, or its Content-Length is no length.
    pub(crate) fn commit(&mut self, content: Option<u64>) -> Result<Head, Refused> {
        let mut head = self.start.take().ok_or(Refused::NotStarted)?;
        let declared = head.frame()?;
        self.committed = true;
        self.content_allowed = header::has_content(head.status);
        self.left = declared;
        // An application may leave out the body of a HEAD request; then nothing is known about its length.
        let known = content.filter(|n| declared.is_none() && self.content_allowed && (*n > 0 || !self.head_request));
        if let Some(length) = known {
            head.headers.push((b"Content-Length".to_vec(), length.to_string().into_bytes()));
            self.left = Some(length);
        }
        Ok(head)
    }

    /// Takes note of early hints that take this many bytes on the wire.
    pub(crate) fn hint(&mut self, bytes: usize) -> Hints {
        if self.hints_left_out {
            return Hints::LeftOut;
        }
        self.hints_left_out = !self.hints.take(bytes);
        if self.hints_left_out { Hints::FirstLeftOut } else { Hints::Sent }
    }

    /// How many of the next `length` bytes belong to the response: none beyond the declared length.
    pub(crate) fn admit(&mut self, length: u64) -> u64 {
        let admitted = self.left.map_or(length, |left| left.min(length));
        self.left = self.left.map(|left| left - admitted);
        admitted
    }

    /// Whether less came than was declared, so that the client must be told that the response is not whole.
    pub(crate) fn is_short(&self) -> bool {
        self.left.is_some_and(|left| left > 0) && !self.head_request && self.content_allowed
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
            assert_eq!((head.status, head.reason.as_slice()), (code, reason.as_bytes()), "{text}");
        }
    }

    #[test]
    fn statuses_that_are_none() {
        for text in ["", "OK", "20 OK", "2000 OK", "20x OK", "-20 OK", " 200 OK"] {
            assert!(matches!(Head::new(text.as_bytes()), Err(Invalid::StatusCode(_))), "{text:?}");
        }
        for text in ["200OK", "200\tOK"] {
            assert!(matches!(Head::new(text.as_bytes()), Err(Invalid::NoSpace(_))), "{text:?}");
        }
        for text in ["000 X", "099 X", "100 Continue", "199"] {
            assert!(matches!(Head::new(text.as_bytes()), Err(Invalid::NotFinal(_))), "{text:?}");
        }
        for text in ["200 OK\r\nX-Evil: 1", "200 O\x07K", "200 a\0b"] {
            assert!(matches!(Head::new(text.as_bytes()), Err(Invalid::Reason(_))), "{text:?}");
        }
    }

    fn push(name: &str, value: &str) -> Result<(), Invalid> {
        Head::new(b"200 OK").unwrap().push(name.into(), value.into())
    }

    #[test]
    fn headers_that_would_be_others() {
        assert_eq!(push("", "a"), Err(Invalid::EmptyName));
        assert!(matches!(push("X\n", "a"), Err(Invalid::NameControl(_))));
        assert!(matches!(push("X\0", "a"), Err(Invalid::NameControl(_))));
        assert!(matches!(push("X Y", "a"), Err(Invalid::NameSpace(_))));
        assert!(matches!(push("X:", "a"), Err(Invalid::NameCharacter(_))));
        assert!(matches!(push("X\u{e9}", "a"), Err(Invalid::NameCharacter(_))));
        assert!(matches!(push("X", "a\r\nSet-Cookie: b"), Err(Invalid::ValueLine(_))));
        assert!(matches!(push("X", "a\0"), Err(Invalid::ValueControl(_))));
        assert_eq!(push("X", ""), Ok(()));
        assert_eq!(push("X", "a\tb"), Ok(()));
    }

    #[test]
    fn a_head_that_no_client_would_take_is_refused_before_it_is_sent() {
        let mut head = Head::new(b"200 OK").unwrap();
        let refused = (0..limits::RESPONSE_HEADERS).find_map(|_| head.push(b"X".to_vec(), b"y".to_vec()).err());
        assert_eq!(refused, Some(Invalid::TooMany));
        assert_eq!(push("X", &"y".repeat(limits::RESPONSE_HEAD)), Err(Invalid::TooMany));
        assert_eq!(push("X", &"y".repeat(limits::RESPONSE_HEAD / 2)), Ok(()));
    }

    #[test]
    fn hints_beyond_their_bound_are_left_out_and_that_is_said_once() {
        let mut response = Response::new(false);
        assert!((0..limits::HINTS).all(|_| response.hint(10) == Hints::Sent));
        assert_eq!([response.hint(10), response.hint(10)], [Hints::FirstLeftOut, Hints::LeftOut]);
        assert_eq!(Response::new(false).hint(limits::HINTS_BYTES + 1), Hints::FirstLeftOut);
    }

    fn started(headers: &[(&str, &str)]) -> Response {
        let mut head = Head::new(b"200 OK").unwrap();
        for (name, value) in headers {
            head.push((*name).into(), (*value).into()).unwrap();
        }
        let mut response = Response::new(false);
        response.start(head);
        response
    }

    fn length(head: &Head) -> Vec<&[u8]> {
        head.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(b"content-length"))
            .map(|(_, v)| v.as_slice())
            .collect()
    }

    #[test]
    fn a_known_length_is_declared_once() {
        assert_eq!(length(&started(&[]).commit(Some(5)).unwrap()), [b"5"]);
        assert_eq!(length(&started(&[]).commit(Some(0)).unwrap()), [b"0"]);
        assert_eq!(length(&started(&[]).commit(None).unwrap()), [b""; 0]);
        assert_eq!(length(&started(&[("content-length", "3")]).commit(Some(5)).unwrap()), [b"3"]);
        assert_eq!(length(&started(&[("Content-Length", "3"), ("content-length", "3")]).commit(None).unwrap()), [b"3"]);
    }

    #[test]
    fn no_length_where_no_content_may_be() {
        let mut response = Response::new(false);
        response.start(Head::new(b"204 No Content").unwrap());
        assert_eq!(length(&response.commit(Some(0)).unwrap()), [b""; 0]);
        let mut response = Response::new(true);
        response.start(Head::new(b"200 OK").unwrap());
        assert_eq!(length(&response.commit(Some(0)).unwrap()), [b""; 0]);
    }

    #[test]
    fn lengths_that_are_none() {
        for value in ["abc", "-5", "+5", "5x", "5 ", "5,5", "0x5", "1e1", "", "999999999999999999999999999999"] {
            assert!(started(&[("Content-Length", value)]).commit(None).is_err(), "{value:?}");
        }
        assert_eq!(length(&started(&[("Content-Length", " \t5")]).commit(None).unwrap()), [b"5"]);
        assert!(started(&[("Content-Length", "x"), ("Content-Length", "4")]).commit(None).is_err());
    }

    #[test]
    fn of_several_lengths_the_last_one_counts() {
        let mut response = started(&[("Content-Length", "5"), ("X", "y"), ("content-length", "3")]);
        assert_eq!(length(&response.commit(None).unwrap()), [b"3"]);
        assert_eq!(response.admit(9), 3);
    }

    #[test]
    fn the_transfer_coding_is_not_the_applications() {
        assert!(
            started(&[("Transfer-Encoding", "chunked")])
                .commit(Some(5))
                .unwrap()
                .headers
                .iter()
                .all(|(n, _)| n != b"Transfer-Encoding")
        );
    }

    #[test]
    fn content_beyond_the_declared_length_is_left_out() {
        let mut response = started(&[("Content-Length", "5")]);
        response.commit(None).unwrap();
        assert_eq!([response.admit(3), response.admit(5), response.admit(3)], [3, 2, 0]);
        assert!(!response.is_short());
    }

    #[test]
    fn content_that_falls_short_is_noticed() {
        let mut response = started(&[("Content-Length", "5")]);
        response.commit(None).unwrap();
        assert_eq!(response.admit(3), 3);
        assert!(response.is_short());
    }

    #[test]
    fn nothing_can_be_sent_before_start_response() {
        assert_eq!(Response::new(false).commit(None), Err(Refused::NotStarted));
    }

    #[test]
    fn bytes_look_like_pythons() {
        assert_eq!(repr(b"a'b\\\r\n\xff").to_string(), "b'a\\'b\\\\\\r\\n\\xff'");
    }
}
