//! The flight recorder of a daemon process: a memory file in which the process notes what it is doing, and which the
//! supervisor reads when the process has ended. Here is only the layout: a header, an entry for each thread that works
//! for us, and a report, which is text.
//!
//! A reader must not believe it: an application can write into the memory of its process.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use crate::codec::DecodeError;
use crate::control::Reason;

/// The signal that makes a daemon process add to its report the Python stacks of the interpreter that the receiving
/// thread is in, whoever holds the GIL. The last real-time signal of Linux, which nobody else uses.
pub const STACKS_SIGNAL: i32 = 64;

/// The number of 64-bit words in an entry.
const WORDS: usize = 64;

/// The size of an entry, and of the header, bytes.
pub const ENTRY: usize = WORDS * 8;

/// The size of the report, bytes; its text ends at the first NUL. Pages that were never written take no memory.
pub const REPORT: usize = 128 << 10;

/// How many entries a process with so many workers has: the first is for the process itself, the others are for the
/// workers by their number.
pub const fn entries(threads: u32) -> usize {
    threads as usize + 1
}

/// The offset of the report.
pub const fn report_offset(threads: u32) -> usize {
    ENTRY * (1 + entries(threads))
}

/// The size of the whole file, bytes.
pub const fn size(threads: u32) -> usize {
    report_offset(threads) + REPORT
}

/// The header: whether the process ends for a reason that is no part of an ordinary life. All zero: it does not.
#[derive(Debug)]
#[repr(transparent)]
pub struct Header([AtomicU64; WORDS]);

const REASON: usize = 0;
const FORCED: usize = 1;

impl Header {
    /// Notes that the process is going to end for this reason. Returns whether it is the first that is noted: only that
    /// one counts.
    pub fn ends_for(&self, reason: Reason) -> bool {
        self.0[REASON].compare_exchange(0, reason as u64 + 1, AcqRel, Relaxed).is_ok()
    }

    /// Notes that the process is going to end itself by force. Returns whether no reason was noted before.
    pub fn ends_by_force(&self) -> bool {
        self.0[FORCED].store(1, Release);
        self.0[REASON].load(Acquire) == 0
    }
}

/// The entry of one thread: what it is doing.
#[derive(Debug)]
#[repr(transparent)]
pub struct Entry([AtomicU64; WORDS]);

const BUSY: usize = 0;
const SINCE: usize = 1;
const IDENT: usize = 2;
const THREAD: usize = 3;
const INTERPRETER: usize = 4;
const LENGTHS: usize = 5;
const TEXT: usize = 6;

/// How many bytes of text an entry has room for.
const ROOM: usize = (WORDS - TEXT) * 8;

/// How many bytes of a request's id and method are kept.
const LONGEST: usize = 64;

/// The task that a thread begins.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// When it begins, in seconds since the epoch.
    pub since: f64,
    /// The number of the interpreter in which it is done.
    pub interpreter: u64,
    /// The request's id; empty if it has none.
    pub id: &'a [u8],
    /// The request's method; empty if this is no request.
    pub method: &'a [u8],
    /// The request's path without the query string; otherwise the task in words.
    pub what: &'a [u8],
}

impl Entry {
    /// Sets the thread of the entry: the numbers that Python and the kernel give to it.
    pub fn set_thread(&self, ident: u64, thread: u32) {
        self.0[IDENT].store(ident, Relaxed);
        self.0[THREAD].store(thread.into(), Relaxed);
    }

    /// Notes that the thread has begun a task. Happens for each request, so there is no system call and no allocation;
    /// texts that are too long are cut.
    pub fn begin(&self, task: &Task<'_>) {
        let (mut text, mut length) = ([0; ROOM], 0);
        let mut lengths = 0;
        for (i, (part, max)) in [(task.id, LONGEST), (task.method, LONGEST), (task.what, ROOM)].into_iter().enumerate()
        {
            let part = &part[..part.len().min(max).min(ROOM - length)];
            text[length..length + part.len()].copy_from_slice(part);
            length += part.len();
            lengths |= (part.len() as u64) << (16 * i);
        }
        self.0[SINCE].store(task.since.to_bits(), Relaxed);
        self.0[INTERPRETER].store(task.interpreter, Relaxed);
        self.0[LENGTHS].store(lengths, Relaxed);
        for (word, bytes) in self.0[TEXT..].iter().zip(text[..length.next_multiple_of(8)].chunks_exact(8)) {
            word.store(native(bytes), Relaxed);
        }
        self.0[BUSY].store(1, Release);
    }

    /// Notes that the task is done.
    pub fn end(&self) {
        self.0[BUSY].store(0, Release);
    }

    /// The task of the thread, if it has one, where this entry has this number.
    pub fn activity(&self, number: usize) -> Option<Activity> {
        Activity::new(number, |word| self.0[word].load(Acquire))
    }
}

/// A number of eight bytes or fewer, in the machine's order.
fn native(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
    u64::from_ne_bytes(word)
}

/// The activity of a thread: the task that it has, or had.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// The number of the entry: 0 for the process, else that of the worker.
    pub number: usize,
    /// When the task began; see [`Task`].
    pub since: f64,
    /// The number that Python gives to the thread, as it stands in its stack.
    pub ident: u64,
    /// The number that the kernel gives to the thread.
    pub thread: u32,
    /// The number of the interpreter; see [`Task`].
    pub interpreter: u64,
    id: String,
    method: String,
    what: String,
}

impl Activity {
    fn new(number: usize, word: impl Fn(usize) -> u64) -> Option<Self> {
        if word(BUSY) == 0 {
            return None;
        }
        let text: Vec<u8> = (TEXT..WORDS).flat_map(|i| word(i).to_ne_bytes()).collect();
        let mut rest = text.as_slice();
        let mut part = |i: usize| {
            let length = (word(LENGTHS) >> (16 * i)) as usize & 0xffff;
            let (part, left) = rest.split_at(length.min(rest.len()));
            rest = left;
            String::from_utf8_lossy(part).into_owned()
        };
        let (id, method, what) = (part(0), part(1), part(2));
        let (since, thread) = (f64::from_bits(word(SINCE)), word(THREAD) as u32);
        Some(Self { number, since, ident: word(IDENT), thread, interpreter: word(INTERPRETER), id, method, what })
    }

    /// The activity in few words: a request by method and path.
    pub fn name(&self) -> String {
        match self.method.is_empty() {
            true => self.what.clone(),
            false => format!("{} {}", self.method, self.what),
        }
    }

    /// One line about the activity at this moment, in seconds since the epoch.
    pub fn describe(&self, now: f64) -> String {
        let (age, number) = ((now - self.since).max(0.0), self.number);
        // The number in brackets is how the stacks call it.
        let thread = if number == 0 { String::new() } else { format!(" in thread {number} ({:#018x})", self.ident) };
        let id = if self.id.is_empty() { String::new() } else { format!(", request id {}", self.id) };
        format!("{} for {age:.1} s{thread}{id}", self.name())
    }
}

/// A list of activities at this moment, one line for each, with its line end.
pub fn list(activities: &[Activity], now: f64) -> String {
    match activities {
        [] => "It was executing no request.\n".to_owned(),
        some => some.iter().fold("It was executing:\n".to_owned(), |text, one| text + "  " + &one.describe(now) + "\n"),
    }
}

/// The contents of a flight recorder.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// The reason that the process noted for its end.
    pub reason: Option<Reason>,
    /// Whether the process ended itself by force.
    pub forced: bool,
    /// The activities of the process when it ended.
    pub activities: Vec<Activity>,
    /// The report that it has written. With a `reason`, it begins with what the process was doing when that was noted.
    pub report: String,
}

impl Recording {
    /// Reads the file of a process with so many workers.
    ///
    /// # Errors
    /// If it is not of that length.
    pub fn read(file: &[u8], threads: u32) -> Result<Self, DecodeError> {
        if file.len() != size(threads) {
            return Err(DecodeError::Short);
        }
        let (head, report) = file.split_at(report_offset(threads));
        let word = |entry: usize, word: usize| native(&head[entry * ENTRY + word * 8..][..8]);
        let reason = word(0, REASON).checked_sub(1).and_then(|n| Reason::try_from(u8::try_from(n).ok()?).ok());
        let activity = |number: usize| Activity::new(number, |i| word(number + 1, i));
        let text = report.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Self {
            reason,
            forced: word(0, FORCED) != 0,
            activities: (0..entries(threads)).filter_map(activity).collect(),
            report: String::from_utf8_lossy(text).into_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zero<T>(make: impl Fn([AtomicU64; WORDS]) -> T) -> T {
        make(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    fn bytes(words: &[AtomicU64; WORDS]) -> Vec<u8> {
        words.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect()
    }

    fn task<'a>(id: &'a [u8], method: &'a [u8], what: &'a [u8]) -> Task<'a> {
        Task { since: 10.0, interpreter: 3, id, method, what }
    }

    /// A file of a process with one worker.
    fn file(header: &Header, entries: [&Entry; 2], report: &[u8]) -> Vec<u8> {
        let mut file = [bytes(&header.0), bytes(&entries[0].0), bytes(&entries[1].0)].concat();
        file.extend_from_slice(report);
        file.resize(size(1), 0);
        file
    }

    #[test]
    fn what_was_noted_is_read_back() {
        let (header, own, worker) = (zero(Header), zero(Entry), zero(Entry));
        worker.set_thread(77, 5);
        worker.begin(&task(b"id-1", b"GET", b"/a path"));
        assert!(header.ends_for(Reason::RequestTimeout) && !header.ends_for(Reason::DeadlockTimeout));
        assert!(!header.ends_by_force());
        let read = Recording::read(&file(&header, [&own, &worker], b"stacks\n"), 1).unwrap();
        assert_eq!((read.reason, read.forced, read.report.as_str()), (Some(Reason::RequestTimeout), true, "stacks\n"));
        assert_eq!(read.activities, [worker.activity(1).unwrap()]);
        let activity = &read.activities[0];
        assert_eq!((activity.ident, activity.thread, activity.interpreter), (77, 5, 3));
        assert_eq!(activity.describe(12.34), "GET /a path for 2.3 s in thread 1 (0x000000000000004d), request id id-1");
        worker.end();
        assert_eq!(worker.activity(1), None);
    }

    #[test]
    fn what_is_no_request_is_told_in_words() {
        let entry = zero(Entry);
        entry.begin(&task(b"", b"", b"loading '/a.wsgi'"));
        let activity = entry.activity(0).unwrap();
        assert_eq!(list(&[activity], 11.0), "It was executing:\n  loading '/a.wsgi' for 1.0 s\n");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let entry = zero(Entry);
        let long = vec![b'x'; 70_000];
        entry.begin(&task(&long, &long, &long));
        let activity = entry.activity(1).unwrap();
        assert_eq!((activity.id.len(), activity.method.len(), activity.what.len()), (64, 64, ROOM - 128));
    }

    #[test]
    fn nothing_that_is_in_the_file_can_do_harm() {
        let mut hostile = vec![0xff; size(1)];
        let read = Recording::read(&hostile, 1).unwrap();
        assert_eq!((read.reason, read.activities.len(), read.report.len()), (None, 2, 3 * REPORT));
        assert!(!read.activities[0].describe(0.0).is_empty());
        hostile.pop();
        assert!(Recording::read(&hostile, 1).is_err());
    }
}
