//! Apache's scoreboard as a daemon process gets it: it asks, and reads shared memory.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::futex;
use wsgi_wire::codec::Wire;
use wsgi_wire::scoreboard::{CONTENT, Scoreboard as Content, ScoreboardHead, Word};

use super::scoreboard::Scoreboard;

/// How long to wait for a new scoreboard: an idle Apache child writes it within a millisecond.
const SCOREBOARD_WAIT: Duration = Duration::from_secs(2);

/// When to ask again: the Apache child that was asked may have ended.
const AGAIN: Duration = Duration::from_millis(100);

/// The shared scoreboard, and the function that asks for a new one.
struct SharedScoreboard<A> {
    ask: A,
    scoreboard: &'static ScoreboardHead,
    content: &'static [Word],
}

/// Maps the scoreboard, to be read, for the rest of the process's life. `ask` has an Apache child write it anew.
///
/// # Errors
/// If the memory is not that of a scoreboard, or cannot be mapped.
pub(crate) fn map(scoreboard: impl AsFd, ask: impl Fn() + Send + Sync + 'static) -> std::io::Result<Scoreboard> {
    let size = usize::try_from(rustix::fs::fstat(&scoreboard)?.st_size).unwrap_or(0);
    if size < CONTENT {
        return Err(std::io::Error::other("it is too short"));
    }
    // SAFETY: a new mapping at a place of the kernel's choice, of a memory file whose length is sealed.
    let map = unsafe { mmap(std::ptr::null_mut(), size, ProtFlags::READ, MapFlags::SHARED, scoreboard, 0)? };
    // SAFETY: it is never unmapped and begins at a page. A scoreboard is atomics, for which all bytes are valid, and
    // which are only read here.
    let scoreboard = unsafe { &*map.cast::<ScoreboardHead>() };
    // SAFETY: the size is not less.
    let content = unsafe { map.byte_add(CONTENT) };
    // SAFETY: so many words are mapped there; the rest as for the scoreboard.
    let content = unsafe { std::slice::from_raw_parts(content.cast::<Word>(), (size - CONTENT) / size_of::<Word>()) };
    let shared = SharedScoreboard { ask, scoreboard, content };
    Ok(Scoreboard::Shared(Box::new(move || shared.fetch())))
}

impl<A: Fn()> SharedScoreboard<A> {
    fn fetch(&self) -> Option<Content> {
        let deadline = Instant::now() + SCOREBOARD_WAIT;
        let before = self.scoreboard.published();
        loop {
            (self.ask)();
            if let Some(content) = self.answer(before, Instant::now() + AGAIN) {
                return Some(content);
            }
            if Instant::now() >= deadline {
                return None;
            }
        }
    }

    /// Waits for the first scoreboard that is written as a whole after `before`.
    fn answer(&self, before: u32, deadline: Instant) -> Option<Content> {
        loop {
            let seen = self.scoreboard.published();
            if let Some(content) = (seen != before).then(|| self.scoreboard.copy(self.content, seen)).flatten() {
                return Content::from_bytes(&content).ok();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            // Written, or the time is over: both show in the next look.
            let _ = futex::wait(&self.scoreboard.published, futex::Flags::empty(), seen, Some(&left));
        }
    }
}
