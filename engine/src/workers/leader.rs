//! Leader and followers: one worker, the leader, waits for requests, and the others wait to take its place.
//!
//! Passing the lead on costs two switches between threads, more than a quick request, and then two workers fight for
//! the GIL. So while requests are quick, or compute and take not much longer ([`Pace`]), the leader keeps the lead as
//! it serves them, and one follower, the standby, looks now and then whether the leader is stuck, and then takes the
//! lead. While requests take longer or wait themselves, the leader passes the lead on as soon as it has the GIL: until
//! then requests that come are found by the worker that runs, not by more threads that then fight for the lock.

use std::sync::PoisonError;
#[cfg(not(all(loom, test)))]
use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

#[cfg(all(loom, test))]
use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

use crate::metrics::pace::Pace;

/// How often the standby looks whether there is a leader to watch.
const LOOK: Duration = Duration::from_millis(1);

/// After this many looks without a request in between the standby sleeps until it is woken: each look is two switches
/// between threads, which a process with little to do would have many times for each request.
const IDLE_LOOKS: u32 = 2;

/// The lock whose holder is the leader, which alone waits for requests.
pub(crate) struct LeaderLock {
    state: Mutex<State>,
    /// Wakes followers when one of them may lead or stand by.
    free: Condvar,
    /// Wakes the standby when the lead is free or there is something to watch again.
    watch: Condvar,
    /// When the leader began to wait for the GIL, in microseconds since `began`; 0 if it does not.
    waiting: AtomicU64,
    /// How requests run lately.
    pub(crate) pace: Pace,
    began: Instant,
}

/// Who leads, who stands by, and who waits.
#[derive(Default)]
struct State {
    /// Whether a thread has the lead.
    taken: bool,
    /// The number of the latest leader; a thread with a lower number does not lead any more.
    term: u64,
    /// When the leader is stuck with the request that it serves without having passed on the lead.
    serving: Option<Instant>,
    /// Whether a follower is the standby.
    standby: bool,
    /// Whether the standby sleeps until it is woken.
    asleep: bool,
    /// How many followers wait until they may lead or stand by.
    followers: usize,
}

impl State {
    fn is_stuck(&self) -> bool {
        // In a model there is no time: nobody is ever stuck, and nobody may rely on having been taken for it.
        cfg!(not(all(loom, test))) && self.serving.is_some_and(|stuck| Instant::now() > stuck)
    }
}

impl LeaderLock {
    /// Makes a lock that no thread has.
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::default()),
            free: Condvar::new(),
            watch: Condvar::new(),
            waiting: AtomicU64::new(0),
            pace: Pace::new(),
            began: Instant::now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Consistent between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the lead, as a follower or as the standby.
    pub(crate) fn take(&self) -> Leader<'_> {
        let mut state = self.lock();
        loop {
            if !state.taken || state.is_stuck() {
                state.taken = true;
                state.serving = None;
                state.term += 1;
                // Who was woken to stand by may have come so late that it leads instead: then somebody else has to
                // stand by.
                if !state.standby && state.followers > 0 {
                    self.free.notify_one();
                }
                return Leader { leadership: self, term: state.term };
            }
            state = if state.standby { self.follow(state) } else { self.stand_by(state) };
        }
    }

    /// Waits as a follower, until this thread is woken.
    fn follow<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.followers += 1;
        state = self.free.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.followers -= 1;
        state
    }

    /// Waits as the standby, until the lead is free or the leader is stuck.
    fn stand_by<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.standby = true;
        let mut idle = 0;
        while state.taken && !state.is_stuck() {
            if idle < IDLE_LOOKS {
                let pause =
                    state.serving.map_or(LOOK, |stuck| stuck.saturating_duration_since(Instant::now()).max(LOOK / 8));
                state = self.watch.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
                idle = if state.serving.is_none() { idle + 1 } else { 0 };
            } else {
                state.asleep = true;
                state = self.watch.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.asleep = false;
                idle = 0;
            }
        }
        state.standby = false;
        // Somebody has to stand by in this one's place.
        self.free.notify_one();
        state
    }

    fn now(&self) -> u64 {
        (self.began.elapsed().as_micros() as u64).max(1)
    }

    /// Whether the leader, with a request in hand, has waited for the GIL for longer than this.
    pub(crate) fn waits(&self, longer_than: Duration) -> bool {
        let since = self.waiting.load(Ordering::Relaxed);
        since != 0 && self.now().saturating_sub(since) > longer_than.as_micros() as u64
    }
}

/// The lead, as long as no other thread has taken it over.
pub(crate) struct Leader<'a> {
    leadership: &'a LeaderLock,
    term: u64,
}

impl Leader<'_> {
    /// Notes that there is a request, and that the leader now waits for the GIL. Passes the lead on if others can run
    /// meanwhile, `parallel`: that GIL may be another one than theirs.
    pub(crate) fn waits(self, parallel: bool) -> Option<Self> {
        if parallel {
            return None;
        }
        self.leadership.waiting.store(self.leadership.now(), Ordering::Relaxed);
        Some(self)
    }

    /// Notes that the leader has the GIL and begins to serve. Keeps the lead if it pays that requests wait for each
    /// other.
    pub(crate) fn serve(self) -> Option<Self> {
        self.leadership.waiting.store(0, Ordering::Relaxed);
        let patience = self.leadership.pace.patience()?;
        let mut state = self.leadership.lock();
        state.serving = Some(Instant::now() + patience.duration());
        let asleep = state.asleep;
        drop(state);
        if asleep {
            self.leadership.watch.notify_one();
        }
        Some(self)
    }

    /// Notes that the request is over. Returns the lead if this thread still has it.
    pub(crate) fn served(self) -> Option<Self> {
        let mut state = self.leadership.lock();
        if state.term != self.term {
            return None;
        }
        state.serving = None;
        drop(state);
        Some(self)
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        let mut state = self.leadership.lock();
        if state.term != self.term {
            return;
        }
        state.taken = false;
        state.serving = None;
        drop(state);
        self.leadership.waiting.store(0, Ordering::Relaxed);
        self.leadership.watch.notify_one();
        self.leadership.free.notify_one();
    }
}

/// Each order in which workers may run.
#[cfg(all(loom, test))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicBool;

    use super::*;

    /// Three workers that each have the lead for a request, some of which are served without passing it on.
    fn work(serve: bool) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(move || {
            let shared = Arc::new((LeaderLock::new(), AtomicBool::new(false)));
            let worker = |shared: Arc<(LeaderLock, AtomicBool)>| {
                move || {
                    let lead = shared.0.take();
                    assert!(!shared.1.swap(true, Ordering::Relaxed), "there are two leaders");
                    let lead = if serve { lead.serve().and_then(Leader::served) } else { Some(lead) };
                    shared.1.store(false, Ordering::Relaxed);
                    drop(lead);
                }
            };
            let others: Vec<_> = (0..2).map(|_| loom::thread::spawn(worker(Arc::clone(&shared)))).collect();
            worker(shared)();
            // A worker that nobody wakes shows as a deadlock.
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }

    #[test]
    fn loom_a_lead_that_is_given_up_finds_a_leader() {
        work(false);
    }

    #[test]
    fn loom_a_lead_that_is_kept_for_a_request_finds_a_leader() {
        work(true);
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lead_goes_to_a_follower_when_it_is_given_up() {
        let leadership = LeaderLock::new();
        let leader = leadership.take();
        std::thread::scope(|scope| {
            let follower = scope.spawn(|| leadership.take().term);
            while !leadership.lock().standby {
                std::thread::yield_now();
            }
            assert!(!follower.is_finished());
            let term = leader.term;
            drop(leader);
            assert_eq!(follower.join().unwrap(), term + 1);
        });
    }

    #[test]
    fn a_stuck_leader_loses_the_lead() {
        let leadership = LeaderLock::new();
        let leader = leadership.take().serve().unwrap();
        std::thread::scope(|scope| {
            let others: Vec<_> =
                (0..3).map(|_| scope.spawn(|| leadership.take().serve().map(|leader| leader.term))).collect();
            for other in others {
                assert!(other.join().unwrap().is_some());
            }
        });
        assert!(leader.served().is_none());
        drop(leadership.take());
    }

    #[test]
    fn somebody_stands_by_although_the_standby_was_woken_too_late() {
        for _ in 0..50 {
            let leadership = LeaderLock::new();
            let leader = leadership.take().serve().unwrap();
            std::thread::scope(|scope| {
                let others: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let leader = leadership.take().serve();
                            // Nobody who has just been woken gets on before this leader is stuck, too.
                            let state = leadership.lock();
                            std::thread::sleep(2 * LOOK);
                            drop(state);
                            std::mem::forget(leader);
                        })
                    })
                    .collect();
                let end = Instant::now() + Duration::from_secs(10);
                while others.iter().any(|other| !other.is_finished()) {
                    if Instant::now() > end {
                        // Lets those go that wait, so that the failure shows.
                        leadership.lock().taken = false;
                        leadership.free.notify_all();
                        panic!("nobody takes the lead from one who is stuck");
                    }
                    std::thread::sleep(LOOK);
                }
            });
            std::mem::forget(leader);
        }
    }

    #[test]
    fn the_lead_is_passed_on_at_once_where_others_can_run_at_the_same_time() {
        let leadership = LeaderLock::new();
        assert!(leadership.take().waits(true).is_none());
        drop(leadership.take());
    }

    #[test]
    fn the_lead_is_passed_on_at_once_when_requests_take_long() {
        let leadership = LeaderLock::new();
        for _ in 0..10 {
            let run = leadership.pace.begins(Instant::now());
            std::thread::sleep(Duration::from_millis(10));
            leadership.pace.ended(&run, Instant::now());
        }
        assert!(leadership.take().serve().is_none());
        drop(leadership.take());
    }
}
