//! What a daemon process answers.

use crate::codec::{Malformed, Reader, Wire, byte_enum, message, put_bytes};
use crate::limits;

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
    /// How a response ended.
    pub enum End {
        /// It is whole.
        Complete = 0,
        /// The application failed after the head was sent: the client must be able to tell.
        Truncated = 1,
        /// Less content came than the head declares: likewise, but what there is of the response is sent.
        Short = 2,
    }
}

/// Status line and headers of a response.
#[derive(Debug, Clone)]
pub struct Head<'a> {
    /// 200 to 999; already validated by the engine.
    pub status: u16,
    /// The reason phrase, possibly empty.
    pub reason: &'a [u8],
    /// Header lines in the application's order.
    pub headers: Headers<'a>,
}

/// The header lines of a [`Head`] or of a `103 Early Hints`: an iterator over a checked byte slice.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    left: u16,
    from: Reader<'a>,
}

impl<'a> Headers<'a> {
    /// Reads the payload of an `EarlyHints` frame, or what is left of a `Head` frame's. All lines are checked.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(payload);
        let left = u16::get(&mut from)?;
        if left as usize > limits::RESPONSE_HEADERS {
            return Err(Malformed::TooLong(left.into()));
        }
        let headers = Self { left, from: from.clone() };
        for _ in 0..left {
            from.bytes()?;
            from.bytes()?;
        }
        from.end()?;
        Ok(headers)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Malformed>;

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
    /// Reads the payload of a `Head` frame. All lines are checked.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(payload);
        let status = u16::get(&mut from)?;
        if !(200..=999).contains(&status) {
            return Err(Malformed::Unknown(status.into()));
        }
        let reason = from.bytes()?;
        Ok(Self { status, reason, headers: Headers::decode(from.rest())? })
    }
}

message! {
    /// A piece of a file as response body. Its descriptor comes as SCM_RIGHTS with the first byte of the frame.
    pub struct File {
        /// Where the piece begins, in bytes.
        pub offset: u64,
        /// How long it is, in bytes; the engine has checked that the file is that long.
        pub length: u64,
        /// Whether it is a file of the application's and all of the content: then Apache may answer `Range` from it.
        pub whole: bool,
    }
}

message! {
    /// The application did not come to answer: Apache shows its own page for this status.
    pub struct Fail {
        /// 500; 504 where the request has run out of time; 502 where its process is stuck.
        pub status: u16,
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
        assert_eq!(Headers::decode(&data).err(), Some(Malformed::Trailing(1)));
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
