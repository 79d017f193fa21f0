//! Turns: of the requests that come while another one runs, each waits on its own thread of Apache. Threads that all
//! fight for the GIL instead switch several times for each request, and hold each other up.
//!
//! Who finds nobody running runs its own request, without any switch, and so does who has waited and gets the turn. If
//! many wait, an executor, a thread of ours, gets the turn and runs their requests, one after the other. A request that
//! runs for too long is left alone: who waits behind it gets its request back, and runs it as if there were no turns;
//! or, if requests compute, the first one gets the turn. That is decided by a thread which looks at the clock, the
//! watch.
//!
//! Knows threads and who waits for whom. Must not know what a request is: here it is a job, with an answer.

mod waiting;

use std::collections::VecDeque;
use std::mem;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[cfg(all(loom, test))]
use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
#[cfg(not(all(loom, test)))]
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

pub(super) use waiting::Taken;
use waiting::{Ended, Waiting};

use crate::metrics::pace::Patience;

/// How often the watch looks whether anybody runs.
const LOOK: Duration = Duration::from_millis(1);

/// After this many looks at which nobody waited the watch sleeps until it is woken.
const IDLE_LOOKS: u32 = 2;

/// How many have to wait for an executor to run their requests. To wake it is one more switch between threads, which
/// fewer are spared: each of these gets the turn, and runs its own.
const MANY: usize = if cfg!(all(loom, test)) { 1 } else { 3 };

/// The turns of the requests of one process.
pub(super) struct Turns<J, A> {
    state: Mutex<State<J, A>>,
    /// Wakes an executor that is given the turn.
    given: Condvar,
    /// Wakes the watch.
    watch: Condvar,
    /// Wakes who waits for the helping threads to leave.
    left: Condvar,
    /// When the request of the turn is stuck, in microseconds since `began`; 0 before it has the GIL. While nobody has
    /// the GIL it is no use to run beside the others.
    stuck: AtomicU64,
    /// Whether requests compute: then those that wait for one that is stuck go on one by one. All at once they would
    /// fight for the GIL, and those behind them would find them stuck in their turn.
    computing: AtomicBool,
    began: Instant,
}

/// Who has the turn, and who waits.
struct State<J, A> {
    /// Whether somebody has the turn.
    taken: bool,
    /// The number of the latest turn; who has an older one has lost it.
    number: u64,
    /// Whether the turn is an executor's, which goes on with those who wait.
    serves: bool,
    /// Whether the turn is for the next executor that comes for it.
    given: bool,
    /// Those that wait, the first one first.
    waiting: VecDeque<Arc<Waiting<J, A>>>,
    /// How many executors have nothing to do and nothing given.
    free: usize,
    /// Whether there is a watch.
    watched: bool,
    /// Whether the watch sleeps until it is woken.
    asleep: bool,
    /// How many helping threads there are.
    helpers: usize,
    /// Whether the helping threads are to leave.
    closed: bool,
}

impl<J, A> State<J, A> {
    /// Begins a turn.
    fn begin(&mut self, serves: bool) {
        self.number += 1;
        (self.taken, self.serves) = (true, serves);
    }

    /// Takes the turn away from whoever has it. Returns those that wait, who get their requests back.
    fn revoke(&mut self) -> VecDeque<Arc<Waiting<J, A>>> {
        if mem::take(&mut self.given) {
            self.free += 1;
        }
        self.taken = false;
        self.number += 1;
        mem::take(&mut self.waiting)
    }
}

/// What a request finds.
pub(super) enum Entry<'t, J, A: Default> {
    /// Nobody runs: it has the turn.
    Turn(Turn<'t, J, A>),
    /// Somebody runs, and it can wait for its turn.
    Queue(Queue<'t, J, A>),
    /// Somebody runs, and there is no watch over it.
    Beside,
}

impl<J, A: Default> Turns<J, A> {
    /// Turns that nobody has, without executors.
    pub(super) fn new() -> Self {
        let state = State {
            taken: false,
            number: 0,
            serves: false,
            given: false,
            waiting: VecDeque::new(),
            free: 0,
            watched: false,
            asleep: false,
            helpers: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            given: Condvar::new(),
            watch: Condvar::new(),
            left: Condvar::new(),
            stuck: AtomicU64::new(0),
            computing: AtomicBool::new(false),
            began: Instant::now(),
        }
    }

    /// How long it takes until the request of the turn is stuck, if it has the GIL.
    fn time_left(&self) -> Option<Duration> {
        match self.stuck.load(Ordering::Relaxed) {
            0 => None,
            stuck => Some(Duration::from_micros(stuck).saturating_sub(self.began.elapsed())),
        }
    }

    fn is_stuck(&self, state: &State<J, A>) -> bool {
        // In a model there is no time: nobody is ever stuck, and nobody may rely on having been taken for it.
        cfg!(not(all(loom, test))) && state.taken && self.time_left() == Some(Duration::ZERO)
    }

    fn lock(&self) -> MutexGuard<'_, State<J, A>> {
        // Consistent between any two statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a turn.
    pub(super) fn enter(&self) -> Entry<'_, J, A> {
        let mut state = self.lock();
        let takes_over = state.waiting.is_empty() || !self.computing.load(Ordering::Relaxed);
        if !state.taken || takes_over && self.is_stuck(&state) {
            let back = state.revoke();
            state.begin(false);
            self.stuck.store(0, Ordering::Relaxed);
            let number = state.number;
            drop(state);
            back.iter().for_each(|waiting| waiting.give_back());
            return Entry::Turn(Turn { turns: self, number, serves: false });
        }
        // Without the watch it might wait for ever.
        if state.watched && !state.closed { Entry::Queue(Queue { turns: self, state }) } else { Entry::Beside }
    }

    /// Adds the calling thread to the executors.
    pub(super) fn join(&self) {
        let mut state = self.lock();
        state.free += 1;
        state.helpers += 1;
    }

    /// Waits until the calling thread, an executor, is given the turn. `None`: it is to leave.
    pub(super) fn wait(&self) -> Option<Turn<'_, J, A>> {
        let mut state = self.lock();
        loop {
            if mem::take(&mut state.given) {
                return Some(Turn { turns: self, number: state.number, serves: true });
            }
            if state.closed {
                state.free -= 1;
                self.leave(state);
                return None;
            }
            state = self.given.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn leave(&self, mut state: MutexGuard<'_, State<J, A>>) {
        state.helpers -= 1;
        drop(state);
        self.left.notify_all();
    }

    /// Gives the turn to those who wait, if anybody does. Whoever had it has it no more.
    fn pass_on(&self, mut state: MutexGuard<'_, State<J, A>>) {
        self.stuck.store(0, Ordering::Relaxed);
        if state.waiting.len() >= MANY && state.free > 0 {
            state.begin(true);
            state.free -= 1;
            state.given = true;
            drop(state);
            self.given.notify_one();
        } else if let Some(first) = state.waiting.pop_front() {
            state.begin(false);
            let number = state.number;
            drop(state);
            first.give_turn(number);
        } else {
            state.taken = false;
        }
    }

    /// Makes the calling thread the watch.
    pub(super) fn join_watch(&self) {
        let mut state = self.lock();
        state.watched = true;
        state.helpers += 1;
    }

    /// Looks whether the one that runs is stuck, and waits until the next look. `idle`: at how many looks before nobody
    /// waited. Returns whether the calling thread, the watch, is to go on.
    pub(super) fn look(&self, idle: &mut u32) -> bool {
        let mut state = self.lock();
        if state.closed {
            state.watched = false;
            self.leave(state);
            return false;
        }
        if self.is_stuck(&state) && !state.waiting.is_empty() {
            if self.computing.load(Ordering::Relaxed) {
                self.pass_on(state);
            } else {
                let back = state.revoke();
                drop(state);
                back.iter().for_each(|waiting| waiting.give_back());
            }
            state = self.lock();
        }
        *idle = if state.waiting.is_empty() { *idle + 1 } else { 0 };
        if *idle < IDLE_LOOKS {
            self.look_later(state);
        } else {
            *idle = 0;
            self.sleep(state);
        }
        true
    }

    /// Waits until the request that runs now would be stuck.
    fn look_later(&self, state: MutexGuard<'_, State<J, A>>) {
        let left = self.time_left().filter(|left| !left.is_zero()).unwrap_or(LOOK);
        drop(self.watch.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner));
    }

    /// Waits until somebody waits.
    fn sleep(&self, mut state: MutexGuard<'_, State<J, A>>) {
        state.asleep = true;
        while state.asleep && !state.closed {
            state = self.watch.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has all helping threads leave, and waits until they have or `max` is over.
    pub(super) fn close(&self, max: Duration) {
        let mut state = self.lock();
        state.closed = true;
        self.given.notify_all();
        self.watch.notify_all();
        let end = Instant::now() + max;
        while state.helpers > 0 && Instant::now() < end {
            state = self.left.wait_timeout(state, max).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The right to run, as long as nobody takes it away: it passes the turn on when it is dropped.
pub(super) struct Turn<'t, J, A: Default> {
    turns: &'t Turns<J, A>,
    number: u64,
    /// Whether it is an executor's.
    serves: bool,
}

impl<J, A: Default> Turn<'_, J, A> {
    /// Notes that the request of the turn has the GIL. Others wait for it for so long.
    pub(super) fn runs(&self, patience: Patience) {
        let stuck = (self.turns.began.elapsed() + patience.duration()).as_micros() as u64;
        self.turns.computing.store(patience == Patience::Computing, Ordering::Relaxed);
        self.turns.stuck.store(stuck, Ordering::Relaxed);
    }

    /// Takes the next job of those that wait; `None` if there is none, or the turn has been taken away.
    pub(super) fn next(&self) -> Option<(J, Taken<J, A>)> {
        let mut state = self.turns.lock();
        if state.number != self.number {
            return None;
        }
        let waiting = state.waiting.pop_front()?;
        self.turns.stuck.store(0, Ordering::Relaxed);
        drop(state);
        let job = waiting.take()?;
        Some((job, Taken::new(waiting)))
    }
}

impl<J, A: Default> Drop for Turn<'_, J, A> {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        if self.serves {
            state.free += 1;
        }
        if state.number == self.number {
            self.turns.pass_on(state);
        }
    }
}

/// A place at the end of those that wait.
pub(super) struct Queue<'t, J, A> {
    turns: &'t Turns<J, A>,
    state: MutexGuard<'t, State<J, A>>,
}

impl<'t, J, A: Default> Queue<'t, J, A> {
    /// Waits until the job has been done, or has to be done by this thread.
    pub(super) fn wait(self, job: J) -> Waited<'t, J, A> {
        let Self { turns, mut state } = self;
        let waiting = Arc::new(Waiting::new(job));
        state.waiting.push_back(Arc::clone(&waiting));
        let asleep = mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            turns.watch.notify_one();
        }
        match waiting.wait() {
            Ended::Answered(answer) => Waited::Answered(answer),
            Ended::Turn(job, number) => Waited::Turn(Turn { turns, number, serves: false }, job),
            Ended::Back(job) => Waited::Beside(job),
        }
    }
}

/// What becomes of a job that has waited.
pub(super) enum Waited<'t, J, A: Default> {
    /// An executor has done it.
    Answered(A),
    /// It has the turn now.
    Turn(Turn<'t, J, A>, J),
    /// The one before it is held up: it had better not wait.
    Beside(J),
}

#[cfg(all(loom, test))]
mod loom_tests;
#[cfg(all(not(loom), test))]
mod tests;
