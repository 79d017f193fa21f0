//! What each worker is doing, for the monitor.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crate::ffi::attach::State;
use crate::interpreter::Interpreter;
use crate::process::limits::Phase;
use crate::request::route::Route;
use crate::workers::reply::Reply;

static ACTIVITIES: OnceLock<Vec<Activity>> = OnceLock::new();

/// Makes room for what so many workers do; once, before they start.
pub(crate) fn prepare(workers: u32) {
    ACTIVITIES.get_or_init(|| (0..workers).map(|_| Activity::default()).collect());
}

/// What the workers do, by number, counted from 0.
pub(crate) fn all() -> &'static [Activity] {
    ACTIVITIES.get().map_or(&[], Vec::as_slice)
}

/// What a worker is doing, for the monitor.
#[derive(Default)]
pub(crate) struct Activity {
    busy: Mutex<Option<Busy>>,
}

/// A request that a worker has in hand.
#[derive(Clone)]
pub(crate) struct Busy {
    /// Since when.
    pub(crate) since: Instant,
    /// How far it is.
    pub(crate) phase: Phase,
    /// Where.
    pub(crate) interpreter: &'static Interpreter,
    /// Python's number of the thread.
    pub(crate) thread: u64,
    /// How it is attached there.
    pub(crate) state: State,
    /// Which, for the log.
    pub(crate) route: Arc<Route>,
    /// The right to answer it.
    pub(crate) reply: Arc<Reply>,
}

impl Activity {
    /// The request, if there is one.
    pub(crate) fn busy(&self) -> MutexGuard<'_, Option<Busy>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
