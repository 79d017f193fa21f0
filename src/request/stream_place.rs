//! WebSockets that are streams of HTTP/2. Each has one of mod_http2's workers to itself, of which a child has few.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::httpd::request::Request;
use crate::httpd::socket;

/// How many there are in this Apache child.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// The right of one of them to a worker; it counts as long as this lives.
pub struct StreamPlace(());

impl StreamPlace {
    /// Takes a place, unless half of the workers have a WebSocket: the others are for everything else that comes over
    /// HTTP/2.
    pub fn take(r: &Request<'_>) -> Option<Self> {
        let most = limit(socket::stream_workers(r));
        let taken = TAKEN.fetch_update(Relaxed, Relaxed, |taken| (taken < most).then_some(taken + 1));
        taken.is_ok().then_some(Self(()))
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        TAKEN.fetch_sub(1, Relaxed);
    }
}

/// How many there may be where so many streams are served at a time.
fn limit(workers: u32) -> u32 {
    (workers / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_workers_are_for_others_and_one_place_there_always_is() {
        assert_eq!([0, 1, 2, 7, 12].map(limit), [1, 1, 1, 3, 6]);
    }
}
