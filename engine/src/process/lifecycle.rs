//! The stage of the process's life, and how other threads ask the main thread to go on to the next stage.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use wsgi_wire::control::Reason;
use wsgi_wire::settings::Preload;

use crate::process::wake::Wake;

/// The stages, in order; there is no way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Stage {
    /// The process serves.
    Serving = 0,
    /// The process finishes the requests that it has.
    Draining = 1,
    /// The process ends, whatever still runs.
    Stopping = 2,
}

/// A wish of another thread for the main thread, the more urgent the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    /// The process should have a successor, and serve until that is ready.
    Retire,
    /// The process should finish the requests that there are, and end.
    Drain,
    /// The process should end, whatever still runs.
    Stop,
}

/// The stage of the process, and the wishes of other threads.
pub(crate) struct Lifecycle {
    stage: AtomicU8,
    wish: Mutex<Option<(Wish, Reason)>>,
    loaded: Mutex<Vec<Preload>>,
    /// The source of events that wakes the main thread.
    pub(crate) source: Wake,
}

impl Lifecycle {
    /// Makes the lifecycle of a process that serves.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub(crate) fn new() -> std::io::Result<Self> {
        let stage = AtomicU8::new(Stage::Serving as u8);
        Ok(Self { stage, wish: Mutex::new(None), loaded: Mutex::default(), source: Wake::new()? })
    }

    /// The stage that the process is in.
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

    /// Asks for a successor: for reasons that are not urgent, so that no request has to wait for it.
    pub(crate) fn retire(&self, reason: Reason) {
        self.ask(Wish::Retire, reason);
    }

    /// Asks to drain. The first reason that is given stands.
    pub(crate) fn drain(&self, reason: Reason) {
        self.ask(Wish::Drain, reason);
    }

    /// Asks the main thread to end the process.
    pub(crate) fn stop(&self, reason: Reason) {
        self.ask(Wish::Stop, reason);
    }

    fn ask(&self, new: Wish, reason: Reason) {
        let mut wish = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        // A changed script says more than any other reason to retire: requests may be waiting.
        let weightier = |earlier| earlier < new || earlier == Wish::Retire && reason == Reason::ScriptReload;
        if wish.is_none_or(|(earlier, _)| weightier(earlier)) {
            *wish = Some((new, reason));
        }
        drop(wish);
        self.wake();
    }

    /// Takes the wish that has been made since the last time.
    pub(crate) fn wish(&self) -> Option<(Wish, Reason)> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes that a request has come for this script, which successors should load from the start.
    pub(crate) fn has_loaded(&self, script: Preload) {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).push(script);
        self.wake();
    }

    /// Takes the scripts that requests have come for since the last time.
    pub(crate) fn loaded(&self) -> Vec<Preload> {
        std::mem::take(&mut self.loaded.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Wakes the main thread, so that it looks around.
    pub(crate) fn wake(&self) {
        self.source.call();
    }

    /// Forgets earlier calls of [`Lifecycle::wake`].
    pub(crate) fn awake(&self) {
        self.source.forget();
    }
}
