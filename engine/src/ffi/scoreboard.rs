//! Apache's scoreboard, as this process can have it.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::futex;
use wsgi_wire::codec::Wire;
use wsgi_wire::embedded::{self as seam, View};
use wsgi_wire::scoreboard::{CONTENT, Scoreboard as Content, ScoreboardHead, Word};

/// How long an answer may take: an idle Apache child gives it within a millisecond.
const SCOREBOARD_WAIT: Duration = Duration::from_secs(2);

/// When to ask again: the child that was to answer may have ended.
const AGAIN: Duration = Duration::from_millis(100);

/// How to get the scoreboard.
pub(crate) enum Scoreboard {
    /// Not at all: nobody has allowed it.
    Forbidden,
    /// An Apache child has it.
    Function(seam::Scoreboard),
    /// A daemon process asks for it.
    Shared(SharedScoreboard),
}

/// The scoreboard, and whom to ask for what is new on it.
pub(crate) struct SharedScoreboard {
    ask: Box<dyn Fn() + Send + Sync>,
    scoreboard: &'static ScoreboardHead,
    content: &'static [Word],
}

impl Scoreboard {
    /// Maps the scoreboard, to be read, for the rest of the process's life. `ask` has somebody write a new scoreboard
    /// on it.
    ///
    /// # Errors
    /// If it is none, or cannot be mapped.
    pub(crate) fn map(scoreboard: impl AsFd, ask: Box<dyn Fn() + Send + Sync>) -> std::io::Result<Self> {
        let size = usize::try_from(rustix::fs::fstat(&scoreboard)?.st_size).unwrap_or(0);
        if size < CONTENT {
            return Err(std::io::Error::other("it is too short"));
        }
        // SAFETY: a new mapping at a place of the kernel's choice, of a memory file whose length is sealed.
        let map = unsafe { mmap(std::ptr::null_mut(), size, ProtFlags::READ, MapFlags::SHARED, scoreboard, 0)? };
        // SAFETY: it is never unmapped and begins at a page. A scoreboard is atomics, for which all bytes are valid,
        // and which are only read here.
        let scoreboard = unsafe { &*map.cast::<ScoreboardHead>() };
        // SAFETY: the size is not less.
        let content = unsafe { map.byte_add(CONTENT) };
        // SAFETY: so many words are mapped there; the rest as for the scoreboard.
        let content =
            unsafe { std::slice::from_raw_parts(content.cast::<Word>(), (size - CONTENT) / size_of::<Word>()) };
        Ok(Self::Shared(SharedScoreboard { ask, scoreboard, content }))
    }

    /// Whether applications may see it.
    pub(crate) fn is_allowed(&self) -> bool {
        !matches!(self, Self::Forbidden)
    }

    /// The scoreboard as it is now; `None` if Apache does not answer. May take a moment.
    pub(crate) fn read(&self) -> Option<Content> {
        match self {
            Self::Forbidden => None,
            Self::Function(function) => {
                let mut view = View::of(&[]);
                // SAFETY: callable until the process ends, says the seam; a place for a view.
                unsafe { function(&raw mut view) };
                // SAFETY: the view is valid until this thread calls again.
                let encoded = unsafe { std::slice::from_raw_parts(view.start, view.length) };
                Content::from_bytes(encoded).ok()
            }
            Self::Shared(shared) => shared.fetch(),
        }
    }
}

impl SharedScoreboard {
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

    /// The first one that is written whole after `before`.
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
