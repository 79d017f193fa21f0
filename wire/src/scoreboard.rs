//! Apache's scoreboard, as `mod_wsgi.server_metrics()` tells of it (`pyapi.md` §4.6), and where it travels.
//!
//! A daemon process has no way into Apache's memory, and may want to know outside of any request. It asks its supervisor for a new one
//! ([`crate::frame::Kind::Wanted`]), who counts [`Header::wanted`](crate::table::Header::wanted) up and wakes one of the Apache children that wait for
//! that; the child writes the encoded [`Scoreboard`] behind a [`Board`], a memory file that daemons can only read, and counts [`Board::published`] up.

use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::codec::{Bytes, message};
use crate::table::PAGE;

message! {
    /// Apache at one moment. Times are in seconds since the epoch.
    pub struct Scoreboard {
        /// `ServerLimit`
        pub server_limit: u32,
        /// `ThreadLimit`
        pub thread_limit: u32,
        /// Counts graceful restarts.
        pub running_generation: i32,
        /// When the server was started, or restarted last.
        pub restart_time: f64,
        /// Now.
        pub current_time: f64,
        /// All places for processes, used or not.
        pub processes: Vec<Process>,
    }
}

message! {
    /// One place for an Apache child.
    pub struct Process {
        /// Process id; 0: none.
        pub pid: i32,
        /// The generation it belongs to.
        pub generation: i32,
        /// Whether it finishes its requests and ends.
        pub quiescing: bool,
        /// All places for threads.
        pub workers: Vec<Worker>,
    }
}

message! {
    /// One place for a thread of an Apache child.
    pub struct Worker {
        /// Its number in the whole server.
        pub thread_num: i32,
        /// The generation it belongs to.
        pub generation: i32,
        /// The letter by which mod_status shows what it does.
        pub status: u8,
        /// Requests that it has served.
        pub access_count: u64,
        /// Bytes that it has sent.
        pub bytes_served: u64,
        /// When its last request began.
        pub start_time: f64,
        /// When its last request ended.
        pub stop_time: f64,
        /// When it was used last.
        pub last_used: f64,
        /// The client's address.
        pub client: Bytes,
        /// The beginning of the request line.
        pub request: Bytes,
        /// The virtual host.
        pub vhost: Bytes,
    }
}

/// The most bytes that a worker or process takes when it is encoded: its numbers, and the strings at their limits in Apache.
const ENTRY: usize = 256;

/// No scoreboard is larger than this, whatever the limits say.
const MOST: usize = 256 << 20;

/// What stands in front of the encoded [`Scoreboard`], on a page of its own.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Board {
    /// Counts what was written: odd while it is being written, and what daemons wait on (a futex).
    pub published: AtomicU32,
    /// Bytes of the encoded scoreboard.
    pub length: AtomicU64,
}

/// Where the encoded scoreboard begins in the memory file.
pub const CONTENT: usize = PAGE;

/// The room for the encoded scoreboard of a server with these limits, bytes.
pub fn capacity(server_limit: u32, thread_limit: u32) -> usize {
    let entries = (server_limit as usize).saturating_mul(thread_limit as usize + 1) + 1;
    entries.saturating_mul(ENTRY).next_multiple_of(PAGE).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Wire;

    #[test]
    fn a_full_scoreboard_fits_into_its_room() {
        let full = |n: usize| Bytes(vec![b'x'; n]);
        let worker = Worker {
            thread_num: 1,
            generation: 2,
            status: b'W',
            access_count: 3,
            bytes_served: 4,
            start_time: 5.0,
            stop_time: 6.0,
            last_used: 7.0,
            client: full(64),
            request: full(64),
            vhost: full(32),
        };
        let process = Process { pid: 1, generation: 2, quiescing: false, workers: vec![worker; 7] };
        let scoreboard = Scoreboard {
            server_limit: 3,
            thread_limit: 7,
            running_generation: 0,
            restart_time: 1.0,
            current_time: 2.0,
            processes: vec![process; 3],
        };
        let encoded = scoreboard.to_bytes();
        assert!(encoded.len() <= capacity(3, 7));
        assert_eq!(Scoreboard::from_bytes(&encoded), Ok(scoreboard));
    }
}
