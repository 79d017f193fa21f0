//! What of a request's body is read before whoever executes the request is bothered with it: where, and how it travels
//! then. For a process of a group more is read ([`super::uploads`]).
#![forbid(unsafe_code)]

use wsgi_wire::limits;

use super::client::HttpClient;
use crate::httpd::body::Taken;
use crate::policy::acceptance::BodyLength;

/// How the body goes to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// The request has no body.
    Empty,
    /// The whole body is in the request's frame.
    Inline,
    /// The body is sent piece by piece; all of it, so many bytes, is here.
    Spooled(u64),
    /// The body is sent piece by piece, and its rest comes from the client; its length is known if the client has
    /// announced it.
    Pulled(Option<u64>),
}

/// How many bytes are asked for at a time.
pub(super) const STEP: usize = 64 << 10;

/// How a body travels of which nothing is read ahead.
pub fn unread(length: BodyLength) -> Travel {
    if length == BodyLength::Known(0) { Travel::Empty } else { Travel::Pulled(known(length)) }
}

/// Reads ahead in embedded mode, where the thread is Apache's own: for the sake of the length behind an input filter.
pub fn read_whole(client: &mut HttpClient<'_, '_>, length: BodyLength, inline: &mut Vec<u8>) -> Travel {
    match length {
        BodyLength::Known(0) => Travel::Empty,
        BodyLength::Known(_) => await_all(client, length, inline).unwrap_or(Travel::Pulled(known(length))),
        BodyLength::Chunked => Travel::Pulled(None),
    }
}

/// Waits for the whole of a body. Input filters may make it longer than announced. `None`: it is longer than what may
/// be read ahead.
pub(super) fn await_all(client: &mut HttpClient<'_, '_>, length: BodyLength, inline: &mut Vec<u8>) -> Option<Travel> {
    let mut taken = Some(Taken::Some);
    while matches!(taken, Some(Taken::Some | Taken::Nothing)) && inline.len() <= limits::SPOOL {
        taken = client.read_ahead(STEP, inline, true);
    }
    if taken == Some(Taken::End) && inline.len() <= limits::INLINE_BODY {
        return Some(Travel::Inline);
    }
    let read = inline.len() as u64;
    client.put_back(std::mem::take(inline).into());
    match taken {
        Some(Taken::End) => Some(Travel::Spooled(read)),
        Some(_) => None,
        // Nobody waits for the rest of what has broken off.
        None => Some(Travel::Pulled(known(length))),
    }
}

pub(super) fn known(length: BodyLength) -> Option<u64> {
    match length {
        BodyLength::Known(length) => Some(length),
        BodyLength::Chunked => None,
    }
}
