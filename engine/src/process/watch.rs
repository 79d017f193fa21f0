//! The facts that workers leave for the monitor: whether there are requests, and when something last happened.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::process::lifecycle::Lifecycle;

/// The facts that workers leave for the monitor. Times are milliseconds since the process began; `NEVER` until it
/// happens.
pub(crate) struct Watch {
    /// When the process became ready.
    pub(crate) began: Instant,
    first_request: AtomicU64,
    last_activity: AtomicU64,
    gil_free: AtomicU64,
    loop_round: AtomicU64,
    loaded: AtomicBool,
    /// How many workers have requests in hand.
    present: AtomicU32,
    /// Whether the monitor wants to be woken by the next request.
    asleep: AtomicBool,
    /// The number of requests after which the process is replaced.
    pub(crate) request_limit: Option<u64>,
}

/// A worker that has a request in hand.
pub(crate) struct Present<'w>(&'w Watch);

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.present.fetch_sub(1, Ordering::SeqCst);
    }
}

const NEVER: u64 = u64::MAX;

impl Watch {
    /// Makes the facts of a process in which nothing has happened yet.
    pub(crate) fn new(request_limit: Option<u64>) -> Self {
        let never = || AtomicU64::new(NEVER);
        Self {
            began: Instant::now(),
            first_request: never(),
            last_activity: never(),
            gil_free: AtomicU64::new(0),
            loop_round: AtomicU64::new(0),
            loaded: AtomicBool::new(false),
            present: AtomicU32::new(0),
            asleep: AtomicBool::new(false),
            request_limit,
        }
    }

    /// Counts a worker that has a request in hand, as long as the result lives. Wakes the main thread if that sleeps
    /// until there is a request.
    pub(crate) fn enter(&self, lifecycle: &Lifecycle) -> Present<'_> {
        self.present.fetch_add(1, Ordering::SeqCst);
        // Either this sees that the monitor sleeps, or the monitor sees that somebody is present: both orders are
        // sequentially consistent.
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            lifecycle.wake();
        }
        Present(self)
    }

    /// Notes that the monitor sleeps until there is a request. Returns `false` if there is one already.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        let idle = self.present.load(Ordering::SeqCst) == 0;
        if !idle {
            self.asleep.store(false, Ordering::SeqCst);
        }
        idle
    }

    /// Notes that the monitor is awake again.
    pub(crate) fn wake_up(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Whether the monitor sleeps until there is a request.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    /// Whether a worker has a request in hand.
    pub(crate) fn anybody_present(&self) -> bool {
        self.present.load(Ordering::SeqCst) > 0
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn at(&self, moment: &AtomicU64) -> Option<Instant> {
        let moment = moment.load(Ordering::Relaxed);
        (moment != NEVER).then(|| self.began + Duration::from_millis(moment))
    }

    /// When the first request came, as long as no script has been loaded.
    pub(crate) fn unloaded_since(&self) -> Option<Instant> {
        self.at(&self.first_request).filter(|_| !self.loaded.load(Ordering::Relaxed))
    }

    /// When all GILs could last be taken.
    pub(crate) fn gil_free(&self) -> Option<Instant> {
        self.at(&self.gil_free)
    }

    /// When the event loop was last known to go round.
    pub(crate) fn loop_round(&self) -> Option<Instant> {
        self.at(&self.loop_round)
    }

    /// The event loop goes round.
    pub(crate) fn loop_goes_round(&self) {
        self.loop_round.store(self.now(), Ordering::Relaxed);
    }

    /// When something last happened that keeps the process from being idle.
    pub(crate) fn last_activity(&self) -> Option<Instant> {
        self.at(&self.last_activity)
    }

    /// Notes that a request is taken up.
    pub(crate) fn request_began(&self) {
        if self.first_request.load(Ordering::Relaxed) == NEVER {
            self.first_request.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Notes that a script has been loaded.
    pub(crate) fn script_loaded(&self) {
        if !self.loaded.load(Ordering::Relaxed) {
            self.loaded.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that something happens that keeps the process from being idle.
    pub(crate) fn active(&self) {
        self.last_activity.store(self.now(), Ordering::Relaxed);
    }

    /// Notes that all GILs could be taken.
    pub(crate) fn gils_are_free(&self) {
        self.gil_free.store(self.now(), Ordering::Relaxed);
    }
}
