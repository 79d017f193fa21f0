//! The WebSockets of a process group, as Apache children count them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::codec::byte_enum;

byte_enum! {
    /// Why a client has not got the WebSocket that it has asked for.
    pub enum Denial {
        /// The request breaks RFC 6455.
        Handshake = 0,
        /// The page that asks is none of `ws-origins`.
        Origin = 1,
        /// There are as many as there may be.
        Limit = 2,
        /// The application refuses it.
        Application = 3,
        /// No process has taken the request, or the application has failed.
        Failed = 4,
    }
}

/// How many reasons there is room for: more than there are, so that more can be added without moving what follows.
const DENIALS: usize = 8;

impl Denial {
    /// All reasons for which a WebSocket may be refused.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..DENIALS).filter_map(|n| Self::try_from(u8::try_from(n).ok()?).ok())
    }

    /// The word of the status for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Origin => "origin",
            Self::Limit => "limit",
            Self::Application => "application",
            Self::Failed => "failed",
        }
    }
}

/// The codes of closes (RFC 6455 §7.4) that are counted apart: each of the protocol's own, those of libraries together
/// and those of applications together.
pub const CODES: [&str; 16] = [
    "1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012", "1013", "1014",
    "3xxx", "4xxx",
];

/// Where a code is counted; `None` for what is no code.
fn class(code: u16) -> Option<usize> {
    match code {
        1000..=1003 => Some(usize::from(code - 1000)),
        1005..=1014 => Some(usize::from(code - 1001)),
        3000..=3999 => Some(14),
        4000..=4999 => Some(15),
        _ => None,
    }
}

/// How many WebSockets a group has had. All zero: none.
#[derive(Debug, Default)]
#[repr(C)]
pub struct WebSocketCounts {
    opened: AtomicU64,
    refused: [AtomicU64; DENIALS],
    closed: [AtomicU64; CODES.len()],
}

impl WebSocketCounts {
    /// Counts one that has been granted.
    pub fn opens(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    /// How many have been granted.
    pub fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    /// Counts one that was not granted.
    pub fn refused(&self, why: Denial) {
        if let Some(counter) = self.refused.get(why as usize) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// How many were not granted for a reason.
    pub fn refusals(&self, why: Denial) -> u64 {
        self.refused.get(why as usize).map_or(0, |counter| counter.load(Relaxed))
    }

    /// Counts one that has ended, with this code.
    pub fn closed(&self, code: u16) {
        if let Some(counter) = class(code).and_then(|class| self.closed.get(class)) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// How many have ended with each of [`CODES`].
    pub fn closes(&self) -> [u64; CODES.len()] {
        std::array::from_fn(|class| self.closed[class].load(Relaxed))
    }

    pub(super) fn clear(&self) {
        let all = std::iter::once(&self.opened).chain(&self.refused).chain(&self.closed);
        all.for_each(|counter| counter.store(0, Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_counted_under_its_name_and_nothing_else_is() {
        let counted = |code: u16| {
            let group = WebSocketCounts::default();
            group.closed(code);
            CODES.into_iter().zip(group.closes()).find(|(_, count)| *count == 1).map(|(name, _)| name)
        };
        for code in (1000..=1003).chain(1005..=1014) {
            assert_eq!(counted(code), Some(code.to_string()).as_deref());
        }
        assert_eq!([3000, 3999, 4000, 4999].map(counted), [Some("3xxx"), Some("3xxx"), Some("4xxx"), Some("4xxx")]);
        assert_eq!([0, 999, 1004, 1015, 2999, 5000, u16::MAX].map(counted), [None; 7]);
    }

    #[test]
    fn refusals_are_counted_by_reason() {
        let group = WebSocketCounts::default();
        group.refused(Denial::Origin);
        let names: Vec<_> = Denial::all().filter(|why| group.refusals(*why) > 0).map(Denial::name).collect();
        assert_eq!((names, Denial::all().count(), group.opened()), (vec!["origin"], 5, 0));
        group.clear();
        assert!(Denial::all().all(|why| group.refusals(why) == 0));
    }
}
