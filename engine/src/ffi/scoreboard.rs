//! Apache's scoreboard, and the ways in which a process gets it.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::futex;
use wsgi_wire::codec::Wire;
use wsgi_wire::embedded::{self as seam, View};
use wsgi_wire::scoreboard::{CONTENT, Scoreboard as Content, ScoreboardHead, Word};

/// How long to wait for a new scoreboard: an idle Apache child writes it within a millisecond.
const SCOREBOARD_WAIT: Duration = Duration::from_secs(2);

/// When to ask again: the Apache child that was asked may have ended.
const AGAIN: Duration = Duration::from_millis(100);

/// The way in which this process gets the scoreboard.
pub(crate) enum Scoreboard {
    /// It does not get it: no directive allows that.
    Forbidden,
    /// Apache has it: the process is an Apache child and calls this function.
    Function(seam::Scoreboard),
    /// A daemon process asks for it and reads shared memory.
    Shared(SharedScoreboard),
}

/// The shared scoreboard, and the function that asks for a new one.
pub(crate) struct SharedScoreboard {
    ask: Box<dyn Fn() + Send + Sync>,
    scoreboard: &'static ScoreboardHead,
    content: &'static [Word],
}

impl Scoreboard {
    /// Maps the scoreboard, to be read, for the rest of the process's life. `ask` has an Apache child write it anew.
    ///
    /// # Errors
    /// If the memory is not that of a scoreboard, or cannot be mapped.
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

    /// The current scoreboard; `None` if Apache does not answer. May take a moment.
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
