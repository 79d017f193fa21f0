//! Where the process is in its life, and how other threads ask the main thread to go on to the next stage.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use wsgi_wire::control::Reason;

/// The stages, in order; there is no way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Serves.
    Serving = 0,
    /// Finishes what it has.
    Draining = 1,
    /// Ends, whatever still runs.
    Stopping = 2,
}

/// The stage, and the wish for a later one.
pub(crate) struct Lifecycle {
    stage: AtomicU8,
    wish: Mutex<Option<(Stage, Reason)>>,
    wake: OwnedFd,
}

impl Lifecycle {
    /// A process that serves.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub(crate) fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { stage: AtomicU8::new(Stage::Serving as u8), wish: Mutex::new(None), wake })
    }

    /// The stage it is in.
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Stopping,
        }
    }

    /// Enters a stage. Only the main thread does.
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
    }

    /// Asks to drain. The first reason that is given stands.
    pub(crate) fn drain(&self, reason: Reason) {
        self.ask(Stage::Draining, reason);
    }

    /// Asks to stop.
    pub(crate) fn stop(&self, reason: Reason) {
        self.ask(Stage::Stopping, reason);
    }

    fn ask(&self, stage: Stage, reason: Reason) {
        let mut wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        if wish.is_none_or(|(earlier, _)| earlier < stage) {
            *wish = Some((stage, reason));
        }
        drop(wish);
        self.wake();
    }

    /// What has been asked for since the last time.
    pub(crate) fn wish(&self) -> Option<(Stage, Reason)> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Makes the main thread look around.
    pub(crate) fn wake(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Forgets earlier calls of [`Lifecycle::wake`].
    pub(crate) fn awake(&self) {
        let _ = rustix::io::read(&self.wake, &mut [0u8; 8]);
    }
}

impl AsFd for Lifecycle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
