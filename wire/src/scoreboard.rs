//! Apache's scoreboard, as `mod_wsgi.server_metrics()` tells of it (`pyapi.md` §4.6), and how it reaches a process.
//!
//! A daemon process has no access to Apache's memory, and may want to know it outside of any request. It asks its
//! supervisor for a new one ([`crate::frame::Kind::ScoreboardWanted`]), which counts
//! [`Header::wanted`](crate::table::Header::wanted) up and wakes one of the Apache children that wait for that; the
//! child writes the encoded [`Scoreboard`] behind a [`ScoreboardHead`], a memory file that daemons can only read, and
//! counts [`ScoreboardHead::published`] up.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::codec::{Bytes, message};
use crate::table::PAGE;

message! {
    /// The state of Apache at one moment. Times are in seconds since the epoch.
    pub struct Scoreboard {
        /// The value of `ServerLimit`.
        pub server_limit: u32,
        /// The value of `ThreadLimit`.
        pub thread_limit: u32,
        /// How many graceful restarts there were.
        pub running_generation: i32,
        /// When the server was started, or restarted last.
        pub restart_time: f64,
        /// When the scoreboard was read.
        pub current_time: f64,
        /// The entries for processes, used or not.
        pub processes: Vec<Process>,
    }
}

message! {
    /// The entry of an Apache child.
    pub struct Process {
        /// The process id; 0 if there is no process.
        pub pid: i32,
        /// The generation it belongs to.
        pub generation: i32,
        /// Whether it finishes its requests and ends.
        pub quiescing: bool,
        /// The entries for its threads.
        pub workers: Vec<Worker>,
    }
}

message! {
    /// The entry of a thread of an Apache child.
    pub struct Worker {
        /// The number of the thread in the whole server.
        pub thread_num: i32,
        /// The generation it belongs to.
        pub generation: i32,
        /// The letter by which mod_status shows what the thread does.
        pub status: u8,
        /// How many requests it has served.
        pub access_count: u64,
        /// How many bytes it has sent.
        pub bytes_served: u64,
        /// When its last request began.
        pub start_time: f64,
        /// When its last request ended.
        pub stop_time: f64,
        /// When the entry was last used.
        pub last_used: f64,
        /// The client's address.
        pub client: Bytes,
        /// The beginning of the request line.
        pub request: Bytes,
        /// The virtual host.
        pub vhost: Bytes,
    }
}

/// How many bytes a worker or process takes at the most when it is encoded: its numbers, and the strings at their
/// limits in Apache.
const ENTRY: usize = 256;

/// The size of the largest scoreboard, whatever the limits say, bytes.
const MAX: usize = 256 << 20;

/// The head in front of the encoded [`Scoreboard`], on a page of its own.
#[derive(Debug, Default)]
#[repr(C)]
pub struct ScoreboardHead {
    /// The number of writes: odd during one. Daemons wait for it to change (a futex).
    pub published: AtomicU32,
    /// The size of the encoded scoreboard, bytes.
    pub length: AtomicU64,
}

/// The unit in which the encoded scoreboard is written and read: one side writes while the other reads, which only
/// atomics allow.
pub type Word = AtomicU32;

impl ScoreboardHead {
    /// Writes an encoded scoreboard behind the head, in as many words as there are; what does not fit is left out. One
    /// writer at a time: two would mix what they write, which readers notice.
    pub fn publish(&self, content: &[Word], encoded: &[u8]) {
        let begun = self.published.load(Ordering::Relaxed) | 1;
        self.published.store(begun, Ordering::Relaxed);
        // Nobody sees what follows before the odd number.
        fence(Ordering::Release);
        for (word, bytes) in content.iter().zip(encoded.chunks(size_of::<u32>())) {
            let mut padded = [0; size_of::<u32>()];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u32::from_ne_bytes(padded), Ordering::Relaxed);
        }
        self.length.store(encoded.len().min(size_of_val(content)) as u64, Ordering::Relaxed);
        self.published.store(begun.wrapping_add(1), Ordering::Release);
    }

    /// The number of writes so far; what is read after that is not older.
    pub fn published(&self) -> u32 {
        // Of memory that cannot be written to, only a relaxed load is sure to be nothing but a load.
        let published = self.published.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        published
    }

    /// Reads the content behind the head, whose number of writes was `seen`; `None` if it has been written since, or is
    /// being written.
    pub fn copy(&self, content: &[Word], seen: u32) -> Option<Vec<u8>> {
        if seen % 2 != 0 {
            return None;
        }
        let room = size_of_val(content);
        let length = usize::try_from(self.length.load(Ordering::Relaxed)).map_or(room, |length| length.min(room));
        let words = content[..length.div_ceil(size_of::<u32>())].iter();
        let mut copy: Vec<u8> = words.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        copy.truncate(length);
        // The second look must not come before the copy.
        fence(Ordering::Acquire);
        (self.published() == seen).then_some(copy)
    }
}

/// The offset of the encoded scoreboard in the memory file.
pub const CONTENT: usize = PAGE;

/// The room for the encoded scoreboard of a server with these limits, bytes.
pub fn capacity(server_limit: u32, thread_limit: u32) -> usize {
    let entries = (server_limit as usize).saturating_mul(thread_limit as usize + 1) + 1;
    entries.saturating_mul(ENTRY).next_multiple_of(PAGE).min(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(not(loom))]
    use crate::codec::Wire;

    /// Each order in which the two sides may run, and each value that a load may see.
    #[cfg(loom)]
    #[test]
    fn loom_a_copy_of_a_scoreboard_is_of_one_writing() {
        loom::model(|| {
            let shared = loom::sync::Arc::new((ScoreboardHead::default(), [Word::default(), Word::default()]));
            let theirs = loom::sync::Arc::clone(&shared);
            let writer = loom::thread::spawn(move || {
                for n in [1, 2] {
                    theirs.0.publish(&theirs.1, &[n; 8]);
                }
            });
            let (board, content) = &*shared;
            let seen = board.published();
            if let Some(copy) = board.copy(content, seen) {
                let expected = vec![u8::try_from(seen / 2).unwrap(); if seen == 0 { 0 } else { 8 }];
                assert_eq!(copy, expected);
            }
            writer.join().unwrap();
            assert_eq!(board.copy(content, board.published()), Some(vec![2; 8]));
        });
    }

    #[cfg(not(loom))]
    #[test]
    fn what_does_not_fill_a_word_or_does_not_fit_is_cut_where_it_ends() {
        let (board, content) = (ScoreboardHead::default(), [const { Word::new(0) }; 2]);
        for (written, read) in [(&b"seven.."[..], &b"seven.."[..]), (b"nine.....", b"nine...."), (b"", b"")] {
            board.publish(&content, written);
            assert_eq!(board.copy(&content, board.published()).as_deref(), Some(read));
        }
        assert_eq!(board.copy(&content, board.published() - 2), None, "written since");
    }

    #[cfg(not(loom))]
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
