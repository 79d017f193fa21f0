//! Apache's scoreboard, as this process can have it.

use std::os::fd::AsFd;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::thread::futex;
use wsgi_wire::codec::Wire;
use wsgi_wire::embedded::{self as seam, View};
use wsgi_wire::scoreboard::{Board, CONTENT, Scoreboard as Content};

/// How long an answer may take: an idle Apache child gives it within a millisecond.
const PATIENCE: Duration = Duration::from_secs(2);

/// When to ask again: the child that was to answer may have ended.
const AGAIN: Duration = Duration::from_millis(100);

/// How to get the scoreboard.
pub(crate) enum Scoreboard {
    /// Not at all: nobody has allowed it.
    Forbidden,
    /// An Apache child has it.
    Function(seam::Scoreboard),
    /// A daemon process asks for it.
    Shared(SharedBoard),
}

/// The board, and whom to ask for what is new on it.
pub(crate) struct SharedBoard {
    ask: Box<dyn Fn() + Send + Sync>,
    board: &'static Board,
    content: *const u8,
    capacity: usize,
}

// SAFETY: the board is atomics; the content is only copied, and checked after that.
unsafe impl Send for SharedBoard {}
// SAFETY: as above.
unsafe impl Sync for SharedBoard {}

impl Scoreboard {
    /// Maps the board, to be read, for the rest of the process's life. `ask` has somebody write a new scoreboard on it.
    ///
    /// # Errors
    /// If it is none, or cannot be mapped.
    pub(crate) fn map(board: impl AsFd, ask: Box<dyn Fn() + Send + Sync>) -> std::io::Result<Self> {
        let size = usize::try_from(rustix::fs::fstat(&board)?.st_size).unwrap_or(0);
        if size < CONTENT {
            return Err(std::io::Error::other("it is too short"));
        }
        // SAFETY: a new mapping at a place of the kernel's choice, never unmapped, of a memory file whose length is sealed. A board is made of
        // atomics, for which every bit pattern is valid, it begins at a page, and atomics are only read here.
        let (board, content) = unsafe {
            let map = mmap(std::ptr::null_mut(), size, ProtFlags::READ, MapFlags::SHARED, board, 0)?.cast::<u8>();
            (&*map.cast::<Board>(), map.add(CONTENT).cast_const())
        };
        Ok(Self::Shared(SharedBoard { ask, board, content, capacity: size - CONTENT }))
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
                // SAFETY: callable until the process ends, says the seam; the view is valid until this thread calls again.
                let encoded = unsafe {
                    function(&raw mut view);
                    std::slice::from_raw_parts(view.start, view.length)
                };
                Content::from_bytes(encoded).ok()
            }
            Self::Shared(shared) => shared.fetch(),
        }
    }
}

impl SharedBoard {
    fn fetch(&self) -> Option<Content> {
        let deadline = Instant::now() + PATIENCE;
        let before = self.published();
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

    /// How often it was written; what is read after that is not older.
    fn published(&self) -> u32 {
        // Of memory that cannot be written to, only a relaxed load is sure to be nothing but a load.
        let published = self.board.published.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        published
    }

    /// The first one that is written whole after `before`.
    fn answer(&self, before: u32, deadline: Instant) -> Option<Content> {
        loop {
            let seen = self.published();
            if seen % 2 == 0 && seen != before {
                let content = self.copy();
                // The second look must not come before the copy.
                fence(Ordering::Acquire);
                if self.published() == seen {
                    return Content::from_bytes(&content).ok();
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let left = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
            // Written, or the time is over: both show in the next look.
            let _ = futex::wait(&self.board.published, futex::Flags::empty(), seen, Some(&left));
        }
    }

    fn copy(&self) -> Vec<u8> {
        let length = usize::try_from(self.board.length.load(Ordering::Relaxed)).unwrap_or(0).min(self.capacity);
        let mut copy = vec![0u8; length];
        // SAFETY: `length` bytes are mapped there. Another process may write meanwhile; the caller then drops the copy.
        unsafe { std::ptr::copy_nonoverlapping(self.content, copy.as_mut_ptr(), length) };
        copy
    }
}
