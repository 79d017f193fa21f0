//! The frames by which a daemon process answers.

use crate::codec::{DecodeError, Reader, Wire, byte_enum, message, put_bytes};
use crate::{header, limits};

byte_enum! {
    /// Why a process did not execute a request. Always safe to try another process.
    pub enum Reject {
        /// The script has changed; the process takes no requests while its state is `Reloading`.
        ScriptChanged = 0,
        /// The process is on its way out.
        Draining = 1,
        /// The request waited longer than `queue-timeout`: 504 at once, no other process is tried.
        QueueTimeout = 2,
    }
}

byte_enum! {
    /// The end of a response.
    pub enum End {
        /// The response is whole.
        Complete = 0,
        /// The application failed after the head was sent: the client must be able to tell.
        Truncated = 1,
        /// Less content came than the head declares: the client must be able to tell, but what there is of the response
        /// is sent.
        Short = 2,
    }
}

/// Status line and headers of a response. What [`Head::decode`] returns keeps to the rules of [`header`].
#[derive(Debug, Clone)]
pub struct Head<'a> {
    /// The status, 200 to 999.
    pub status: u16,
    /// The reason phrase, possibly empty.
    pub reason: &'a [u8],
    /// Header lines in the application's order.
    pub headers: Headers<'a>,
    /// The length that its one Content-Length announces, if there is one.
    pub length: Option<u64>,
}

/// The header lines of a [`Head`] or of a `103 Early Hints`: an iterator over a checked byte slice.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    left: u16,
    from: Reader<'a>,
}

impl<'a> Headers<'a> {
    /// Reads the payload of an `EarlyHints` frame.
    ///
    /// # Errors
    /// If a line breaks the rules of [`header`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        Self::checked(payload).map(|(headers, _)| headers)
    }

    /// Checks all lines in one pass. Returns the length that their Content-Length announces along with them.
    fn checked(payload: &'a [u8]) -> Result<(Self, Option<u64>), DecodeError> {
        let mut from = Reader::new(payload);
        let left = u16::get(&mut from)?;
        if left as usize > limits::RESPONSE_HEADERS {
            return Err(DecodeError::TooLong(left.into()));
        }
        let headers = Self { left, from: from.clone() };
        let mut length = None;
        for _ in 0..left {
            let (name, value) = (from.bytes()?, from.bytes()?);
            if !header::is_name(name) || !header::is_value(value) {
                return Err(DecodeError::Header);
            }
            if header::is_length(name) {
                let announced = header::length(value).ok_or(DecodeError::ContentLength)?;
                if length.replace(announced).is_some() {
                    return Err(DecodeError::ContentLength);
                }
            }
        }
        from.end()?;
        Ok((headers, length))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(self.from.bytes().and_then(|name| Ok((name, self.from.bytes()?))))
    }
}

/// Appends the payload of a `Head` frame.
pub fn put_head<'h>(
    out: &mut Vec<u8>,
    status: u16,
    reason: &[u8],
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
) {
    status.put(out);
    put_bytes(out, reason);
    put_headers(out, headers);
}

/// Appends the payload of an `EarlyHints` frame.
pub fn put_headers<'h>(out: &mut Vec<u8>, headers: impl Iterator<Item = (&'h [u8], &'h [u8])>) {
    let at = out.len();
    0u16.put(out);
    let mut count = 0u16;
    for (name, value) in headers.take(limits::RESPONSE_HEADERS) {
        put_bytes(out, name);
        put_bytes(out, value);
        count += 1;
    }
    out[at..at + 2].copy_from_slice(&count.to_ne_bytes());
}

impl<'a> Head<'a> {
    /// Reads the payload of a `Head` frame.
    ///
    /// # Errors
    /// If the status, the reason or a line breaks the rules of [`header`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut from = Reader::new(payload);
        let status = u16::get(&mut from)?;
        if !header::is_final(status) {
            return Err(DecodeError::Unknown(status.into()));
        }
        let reason = from.bytes()?;
        if !header::is_reason(reason) {
            return Err(DecodeError::Reason);
        }
        let (headers, length) = Headers::checked(from.rest())?;
        Ok(Self { status, reason, headers, length })
    }
}

message! {
    /// A piece of a file as response body. Its descriptor comes as SCM_RIGHTS with the first byte of the frame.
    pub struct File {
        /// Where the piece begins, in bytes.
        pub offset: u64,
        /// How long it is, in bytes.
        pub length: u64,
        /// Whether this is a file of the application's and all of the content: then Apache may answer `Range` from it.
        pub whole: bool,
    }
}

/// The end of a request without a response of the application: Apache shows its own page for this status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fail {
    /// The status, 400 to 599: 500; 504 where the request has run out of time; 502 where its process is stuck.
    pub status: u16,
}

impl Wire for Fail {
    fn put(&self, out: &mut Vec<u8>) {
        self.status.put(out);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let status = u16::get(from)?;
        if header::is_failure(status) { Ok(Self { status }) } else { Err(DecodeError::Unknown(status.into())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back_as_it_was() {
        let mut data = Vec::new();
        let headers: [(&[u8], &[u8]); 2] = [(b"Content-Type", b"text/plain"), (b"X", b"")];
        put_head(&mut data, 200, b"OK", headers.into_iter());
        let head = Head::decode(&data).unwrap();
        assert_eq!((head.status, head.reason), (200, &b"OK"[..]));
        assert_eq!(head.headers.map(Result::unwrap).collect::<Vec<_>>(), headers);
        for n in 0..data.len() {
            assert!(Head::decode(&data[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn early_hints_come_back_as_they_were() {
        let mut data = Vec::new();
        let headers: [(&[u8], &[u8]); 2] = [(b"Link", b"</a.css>; rel=preload"), (b"Link", b"</b.js>; rel=preload")];
        put_headers(&mut data, headers.into_iter());
        assert_eq!(Headers::decode(&data).unwrap().map(Result::unwrap).collect::<Vec<_>>(), headers);
        data.push(0);
        assert_eq!(Headers::decode(&data).err(), Some(DecodeError::Trailing(1)));
    }

    #[test]
    fn no_head_has_more_lines_than_may_be() {
        let mut data = Vec::new();
        put_headers(&mut data, std::iter::repeat_n((&b"X"[..], &b"y"[..]), limits::RESPONSE_HEADERS + 1));
        assert_eq!(Headers::decode(&data).unwrap().count(), limits::RESPONSE_HEADERS, "no more are written");
        let more = limits::RESPONSE_HEADERS + 1;
        data[..2].copy_from_slice(&u16::try_from(more).unwrap().to_ne_bytes());
        put_bytes(&mut data, b"X");
        put_bytes(&mut data, b"y");
        assert_eq!(Headers::decode(&data).err(), Some(DecodeError::TooLong(more)));
    }

    fn decoded(reason: &str, headers: &[(&str, &str)]) -> Result<Option<u64>, DecodeError> {
        let mut data = Vec::new();
        let lines = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        put_head(&mut data, 200, reason.as_bytes(), lines.clone());
        let mut hints = Vec::new();
        put_headers(&mut hints, lines);
        let of_head = Head::decode(&data).map(|head| head.length);
        assert_eq!(Headers::decode(&hints).err(), of_head.err().filter(|error| *error != DecodeError::Reason));
        of_head
    }

    #[test]
    fn what_would_be_another_response_is_refused_in_heads_and_hints() {
        assert_eq!(decoded("OK\r\nX: y", &[]), Err(DecodeError::Reason));
        for header in
            [("X\r\nY", "z"), ("X Y", "z"), ("", "z"), ("X:", "z"), ("X", "a\r\n\r\nHTTP/1.1 200 OK"), ("X", "\0")]
        {
            assert_eq!(decoded("", &[header]), Err(DecodeError::Header), "{header:?}");
        }
    }

    #[test]
    fn there_is_one_length_and_it_is_a_number() {
        assert_eq!(decoded("", &[("X", "7")]), Ok(None));
        assert_eq!(decoded("", &[("content-length", "7")]), Ok(Some(7)));
        for value in ["+7", " 7", "7 ", "-7", "", "7,7", "7.0", "99999999999999999999"] {
            assert_eq!(decoded("", &[("Content-Length", value)]), Err(DecodeError::ContentLength), "{value:?}");
        }
        let twice = [("Content-Length", "7"), ("CONTENT-LENGTH", "7")];
        assert_eq!(decoded("", &twice), Err(DecodeError::ContentLength));
    }

    #[test]
    fn only_failures_fail() {
        for status in [0, 100, 101, 200, 204, 304, 399, 600, 65_535] {
            assert_eq!(Fail::from_bytes(&Fail { status }.to_bytes()), Err(DecodeError::Unknown(status.into())));
        }
        for status in [400, 500, 502, 504, 599] {
            assert_eq!(Fail::from_bytes(&Fail { status }.to_bytes()), Ok(Fail { status }));
        }
    }

    #[test]
    fn interim_and_impossible_statuses_are_refused() {
        for status in [0, 100, 199, 1000] {
            let mut data = Vec::new();
            put_head(&mut data, status, b"", std::iter::empty());
            assert!(Head::decode(&data).is_err(), "{status}");
        }
    }
}
