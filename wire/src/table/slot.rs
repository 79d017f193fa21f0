//! A slot for a daemon process: what the supervisor says of the process, and what that says itself.

use super::histogram::{Distribution, Histogram};
use super::layout::{ENTRY, PAGE};
use super::websockets::WebSockets;
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::codec::byte_enum;
use std::mem::offset_of;

byte_enum! {
    /// The life of the process in a slot.
    pub enum State {
        /// There is no process in the slot.
        Free = 0,
        /// The process was spawned and is not ready.
        Starting = 1,
        /// The process takes requests.
        Ready = 2,
        /// The process finishes what it has.
        Draining = 3,
        /// The process takes no requests, because its script has changed, until its successor is ready or nobody can
        /// load the new script.
        Reloading = 4,
    }
}

impl State {
    /// The word of the status for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "ended",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Reloading => "reloading",
        }
    }
}

/// The entry of a slot, in which the supervisor describes the process; Apache children only read it. All zero is a free
/// slot.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Entry {
    state: AtomicU32,
    /// The id of the process.
    pub pid: AtomicU32,
    /// The number of the process among those that this slot has had; part of the socket's name.
    pub serial: AtomicU32,
    /// How many worker threads the process has.
    pub threads: AtomicU32,
    /// The [`group_key`](super::group_key) of its process group.
    pub group: AtomicU64,
    /// The secret by which a connection proves that the child has access to this table, new for each process.
    pub secret: AtomicU64,
    /// When the process was started, seconds since the epoch.
    pub started: AtomicU64,
    /// When the process began by the system's word, in the system's own unit; 0: not known. With the pid it names the
    /// process for good.
    pub born: AtomicU64,
    /// The configuration that it belongs to.
    pub generation: AtomicU32,
}

impl Entry {
    /// Whether the process belongs to the group with this key.
    pub fn is_of(&self, group: u64) -> bool {
        self.group.load(Relaxed) == group
    }

    /// Whether there is no process.
    pub fn is_free(&self) -> bool {
        self.state.load(Acquire) == State::Free as u32
    }

    /// The state of the process, as the supervisor has it.
    pub fn state(&self) -> State {
        State::try_from(self.state.load(Acquire) as u8).unwrap_or(State::Free)
    }

    /// Publishes a new state, and everything that was written to the entry before.
    pub fn set_state(&self, state: State) {
        self.state.store(state as u32, Release);
    }

    /// Notes that the process has ended, or that there was none.
    pub fn set_free(&self) {
        self.pid.store(0, Relaxed);
        self.set_state(State::Free);
    }
}

/// The page of a process, which it writes itself, and in which Apache children count.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Page {
    /// `Reloading` or `Draining`; with any other number it takes requests if its [`Entry`] says so.
    away: AtomicU32,
    /// How many requests Apache children have given to this process and not yet got back.
    pub in_flight: AtomicU32,
    /// How many of these have no part of their answer yet. A process that has nothing to do corrects it.
    pub unanswered: AtomicU32,
    /// How many WebSockets Apache children have open to this process, or are asking it for.
    pub websockets: WebSockets,
    /// How long a request takes there on average, in microseconds; 0: not known.
    pub pace: AtomicU32,
    /// Space that puts the counters of Apache children into another cache line than those of the process, and another
    /// than the one beside it, which may be fetched along: otherwise each would take the line from the other several
    /// times in each request.
    apart: [u32; 25],
    /// How many requests the process is executing.
    pub busy: AtomicU32,
    /// When it has finished the last one: microseconds of the machine's clock, of which only differences count.
    ended: AtomicU32,
    /// How many requests it has finished.
    pub requests: AtomicU64,
    /// How many requests have their responses while their applications go on.
    pub background: AtomicU32,
    /// How many messages of WebSockets its applications have been given.
    pub messages_in: AtomicU64,
    /// How many they have sent.
    pub messages_out: AtomicU64,
    /// How late the event loop comes to what it is asked for.
    pub lag: Histogram,
}

// Those of a model are larger.
const _: () = assert!(cfg!(all(loom, test)) || size_of::<Page>() <= PAGE && offset_of!(Page, busy) == 128);
const _: () = assert!(cfg!(all(loom, test)) || size_of::<Entry>() == ENTRY);

/// How many microseconds a request may wait for those before it in a process, rather than be given to another process:
/// to wake that takes as long, and its caches are cold.
const SHORT: u64 = 100;

/// Requests that take so many microseconds at the most may wait for so long: to spread them over processes costs more,
/// in switches and cold caches, than they need themselves.
const TINY: (u64, u64) = (50, 250);

/// For how many microseconds after the end of a request the next one is not late.
const MOMENT: u32 = 1000;

const RELOADING: u32 = State::Reloading as u32;
const DRAINING: u32 = State::Draining as u32;

impl Page {
    /// Takes no requests, unless the process is on its way out, until [`resume`](Self::resume): it waits for a
    /// successor.
    pub fn hold(&self) {
        // It is on its way out, or holds already.
        let _ = self.away.compare_exchange(0, RELOADING, AcqRel, Relaxed);
    }

    /// Takes requests again after [`hold`](Self::hold).
    pub fn resume(&self) {
        // It is on its way out, or does not hold.
        let _ = self.away.compare_exchange(RELOADING, 0, AcqRel, Relaxed);
    }

    /// Says that a request has ended `now`, and how long one takes on average, in microseconds, where that has changed
    /// by an eighth: Apache's children read it often.
    pub fn tell_pace(&self, mean: u32, now: u32) {
        self.ended.store(now, Relaxed);
        let told = self.pace.load(Relaxed);
        if mean.abs_diff(told) > told / 8 {
            self.pace.store(mean, Relaxed);
        }
    }

    /// Takes no more requests.
    pub fn leave(&self) {
        self.away.store(DRAINING, Release);
    }

    /// Whether the process has left, or a supervisor that it has no connection to has asked it to.
    pub fn has_left(&self) -> bool {
        self.away.load(Acquire) == DRAINING
    }
}

/// A slot of a daemon process: its entry and its page.
#[derive(Debug, Clone, Copy)]
pub struct Slot<'t> {
    /// The description that the supervisor gives of it.
    pub entry: &'t Entry,
    /// The description that the process gives of itself.
    pub page: &'t Page,
}

impl Slot<'_> {
    /// Whether the process belongs to the group with this key.
    pub fn is_of(&self, group: u64) -> bool {
        self.entry.is_of(group)
    }

    /// The state of the process. A process that is ready may say that it is not; no other state is its to choose.
    pub fn state(&self) -> State {
        match (self.entry.state(), self.page.away.load(Acquire)) {
            (State::Ready, RELOADING) => State::Reloading,
            (State::Ready, DRAINING) => State::Draining,
            (state, _) => state,
        }
    }

    /// How late the event loop of the process has come to what it was asked for, as it says itself.
    pub fn lag(&self) -> Distribution {
        self.page.lag.read()
    }

    /// How many threads of the process are taken, or will be by requests that are on their way. A request whose answer
    /// is there but on its way to a slow client takes none; one that a process executes is counted by both.
    pub fn taken(&self) -> u32 {
        // In this order: who counts a request as in flight has counted it as unanswered before.
        let in_flight = self.page.in_flight.load(SeqCst);
        in_flight.min(self.page.unanswered.load(Relaxed).saturating_add(self.page.busy.load(Relaxed)))
    }

    /// Whether so many requests of a process are over so soon that one more may wait for them. Where they have all
    /// threads, one has to have ended a moment ago: otherwise these are not as the last ones were, and nobody knows
    /// when they are over.
    pub(super) fn is_soon_done(&self, taken: u32, now: u32) -> bool {
        let pace = u64::from(self.page.pace.load(Relaxed));
        let (tiny, longer) = TINY;
        let is_quick = pace != 0 && pace * u64::from(taken) <= if pace <= tiny { longer } else { SHORT };
        is_quick && (taken < self.entry.threads.load(Relaxed) || self.has_just_ended_one(now))
    }

    fn has_just_ended_one(&self, now: u32) -> bool {
        let ago = now.wrapping_sub(self.page.ended.load(Relaxed));
        // The process may be ahead of who has looked at the clock before it.
        !(MOMENT..=u32::MAX / 2).contains(&ago)
    }

    /// For how many more requests the process has a thread. Where it will have one so soon that more may as well be
    /// sent, that is any number.
    pub fn room(&self, now: u32) -> u32 {
        let taken = self.taken();
        // No request is over in no time: of an idle process, too, it counts how long one takes.
        match self.is_soon_done(taken.max(1), now) {
            true => u32::MAX,
            false => self.entry.threads.load(Relaxed).saturating_sub(taken),
        }
    }

    /// Whether the process has a thread for one more request, or will have one so soon that it may as well be sent.
    pub fn has_room(&self, now: u32) -> bool {
        self.room(now) > 0
    }

    /// How many requests wait in the process for a thread, at least.
    pub fn waiting(&self) -> u32 {
        self.page.unanswered.load(Relaxed).saturating_sub(self.entry.threads.load(Relaxed))
    }

    /// Publishes a new state, and everything that was written to the slot before. A process on its way out finds that
    /// in its page, too.
    pub fn set_state(&self, state: State) {
        self.entry.set_state(state);
        if state == State::Draining {
            self.page.leave();
        }
    }

    /// Makes a process that was starting take requests, unless it is in a third state by now.
    pub fn admit(&self) {
        // In a third state somebody else knows better.
        let _ = self.entry.state.compare_exchange(State::Starting as u32, State::Ready as u32, AcqRel, Relaxed);
    }

    /// Puts a new process into the slot, except for what the table cannot know: its pid, when it was started, and its
    /// configuration.
    pub fn occupy(&self, group: u64, threads: u32, secret: u64) {
        let Self { entry, page } = self;
        entry.serial.fetch_add(1, Relaxed);
        for number in
            [&entry.pid, &entry.generation, &page.away, &page.in_flight, &page.unanswered, &page.pace, &page.busy]
        {
            number.store(0, Relaxed);
        }
        page.background.store(0, Relaxed);
        for number in [&entry.started, &entry.born, &page.requests, &page.messages_in, &page.messages_out] {
            number.store(0, Relaxed);
        }
        page.lag.clear();
        page.websockets.clear();
        entry.threads.store(threads, Relaxed);
        entry.group.store(group, Relaxed);
        entry.secret.store(secret, Relaxed);
        self.set_state(State::Starting);
    }
}

/// Memory of slots, for tests.
#[cfg(test)]
pub(super) mod example {
    use std::sync::atomic::Ordering::Relaxed;

    use crate::table::names::group_key;
    use crate::table::slot::{Entry, Page, Slot, State};

    pub type Memory = (Entry, Page);

    pub fn view(memory: &Memory) -> Slot<'_> {
        Slot { entry: &memory.0, page: &memory.1 }
    }

    pub fn slot(group: &str, state: State, threads: u32, in_flight: u32) -> Memory {
        let memory = Memory::default();
        let slot = view(&memory);
        slot.occupy(group_key(group.as_bytes()), threads, 1);
        slot.page.in_flight.store(in_flight, Relaxed);
        slot.page.unanswered.store(in_flight, Relaxed);
        slot.set_state(state);
        memory
    }
}

#[cfg(test)]
mod tests {
    use super::example::{Memory, slot, view};
    use super::*;
    use crate::table::{Need, claim, group_key};

    #[test]
    fn a_zero_slot_is_free() {
        let memory = Memory::default();
        assert!(view(&memory).entry.is_free());
        assert_eq!(view(&memory).state(), State::Free);
    }

    #[test]
    fn whatever_a_process_writes_it_can_only_make_itself_unavailable() {
        for state in [State::Free, State::Starting, State::Ready, State::Draining] {
            for raw in (0..8).chain([u32::MAX]) {
                let memory = slot("a", state, 1, 0);
                let Page { away, in_flight, unanswered, pace, busy, requests, .. } = &memory.1;
                [away, in_flight, unanswered, pace, busy].into_iter().for_each(|number| number.store(raw, Relaxed));
                requests.store(u64::MAX, Relaxed);
                let seen = view(&memory).state();
                assert!(seen == state || state == State::Ready, "{state:?} {raw}");
                assert_eq!(view(&memory).entry.is_free(), state == State::Free);
                let claimed = |group: &[u8]| claim([view(&memory)].into_iter(), group_key(group), &[], Need::Any, 0);
                assert_eq!(claimed(b"b"), None);
                assert!(claimed(b"a").is_none() || state == State::Ready);
            }
        }
    }

    #[test]
    fn a_process_has_room_for_as_many_as_it_has_threads_free_or_for_any_number_of_quick_ones() {
        let [idle, half, full] = [0, 2, 4].map(|taken| slot("a", State::Ready, 4, taken));
        let room = |pace| {
            [&idle, &half, &full].map(|memory| {
                memory.1.tell_pace(pace, 0);
                view(memory).room(MOMENT)
            })
        };
        assert_eq!(room(1000), [4, 2, 0], "an idle process says nothing of the time that the next ones take");
        assert_eq!(room(50), [u32::MAX, u32::MAX, 0]);
    }

    #[test]
    fn a_process_holds_until_it_resumes_unless_it_leaves() {
        let memory = slot("a", State::Ready, 1, 0);
        let (slot, page) = (view(&memory), &memory.1);
        page.hold();
        assert_eq!(slot.state(), State::Reloading);
        page.resume();
        assert_eq!(slot.state(), State::Ready);
        page.leave();
        page.hold();
        page.resume();
        assert_eq!((slot.state(), page.has_left()), (State::Draining, true));
    }
}
