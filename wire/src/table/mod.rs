//! The process table: what Apache, its children, the supervisor and the daemons know of each other in shared memory. Here is only the layout;
//! whoever maps it guarantees that what is pointed to is really there.
//!
//! There are two kinds of memory files. **The table** has a page for what concerns all, a record for each process group and an entry for each
//! daemon process: all that decides who gets requests, and the secrets. It never leaves the Apache parent, its children and the supervisor. **The
//! pages**, a file for each process group, have a page for each of its processes: a daemon gets those of its own group, and its application may write
//! there what it likes: it can only make processes of its own group look busy, or away.

pub mod ending;
pub mod group;
pub mod histogram;

use std::mem::offset_of;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};

use crate::codec::{byte_enum, digest};
pub use ending::{Ending, Failure};
pub use group::{Group, Places, Queue, Refusal};

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// How many daemon processes one server can have at a time, those on their way out included.
pub const SLOTS: usize = 512;

/// How many process groups there can be: each has at least one process.
pub const GROUPS: usize = SLOTS;

/// Bytes of a group's record.
pub const GROUP: usize = 1024;

/// Bytes of the table: the header's page, the groups' records, the slots' entries. What was never used takes no memory.
pub const SIZE: usize = entry_offset(SLOTS).next_multiple_of(PAGE);

/// Bytes of a group's pages: one for each slot of the server, so that a slot has the same place in all of them. Those of other groups' slots are
/// never touched and take no memory.
pub const PAGES: usize = page_offset(SLOTS);

/// Where a slot's page begins in the pages of its group.
pub const fn page_offset(slot: usize) -> usize {
    PAGE * slot
}

/// Where a slot's entry begins in the table.
pub const fn entry_offset(slot: usize) -> usize {
    group_offset(GROUPS) + size_of::<Entry>() * slot
}

/// Where a group's record begins in the table.
pub const fn group_offset(group: usize) -> usize {
    PAGE + GROUP * group
}

/// The beginning of the first page.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Header {
    /// Slots from this one on have never been used: the supervisor takes the lowest free one, so that a search touches few pages.
    pub used: AtomicU32,
    /// Records of groups from this one on have never been used.
    pub groups: AtomicU32,
    /// Process id of the supervisor; 0 before it has begun.
    pub supervisor: AtomicU32,
    /// The configuration in force, counted from 1.
    pub generation: AtomicU32,
    /// When this server was started, seconds since the epoch.
    pub started: AtomicU64,
    /// Apache children that there are, as the parent knows.
    children: AtomicU32,
    /// Apache children that have begun to count here.
    begun: AtomicU32,
    /// Those of them that have ended in order, and so given back what they had counted.
    settled: AtomicU32,
    /// Counts wishes of daemons for Apache's scoreboard ([`crate::scoreboard`]), which the supervisor passes on: what Apache children wait on (a
    /// futex).
    pub wanted: AtomicU32,
    /// Apache's workers that have a request of any group in hand.
    pub workers: Places,
}

impl Header {
    /// In the parent: there is one more Apache child.
    pub fn child_started(&self) {
        self.children.fetch_add(1, Relaxed);
    }

    /// In an Apache child: it begins.
    pub fn child_begins(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    /// In an Apache child: it ends in order. No request of it waits or is in flight.
    pub fn child_settles(&self) {
        self.settled.fetch_add(1, Relaxed);
    }

    /// In the parent: an Apache child has ended. Whether it, or one before it, did not do so in order: what it had counted stays there for ever.
    /// With a child that has not begun yet, the next end tells.
    pub fn child_ended(&self) -> bool {
        // A child from before there was a table has not been counted.
        let before = self.children.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
        let children = before.map_or(0, |n| n - 1);
        let begun = self.begun.load(Relaxed);
        let unsettled = begun.wrapping_sub(self.settled.load(Relaxed)) > children;
        if unsettled {
            self.settled.store(begun.wrapping_sub(children), Relaxed);
        }
        unsettled
    }
}

const _: () = assert!(size_of::<Header>() <= PAGE);

byte_enum! {
    /// The life of the process in a slot.
    pub enum State {
        /// No process.
        Free = 0,
        /// Spawned, not ready.
        Starting = 1,
        /// Takes requests.
        Ready = 2,
        /// Finishes what it has.
        Draining = 3,
        /// Takes no requests, because its script has changed, until its successor is ready or nobody can load the new script.
        Reloading = 4,
    }
}

/// What the supervisor says of the process in a slot; Apache children only read it. All zero is a free slot.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Entry {
    state: AtomicU32,
    /// Process id.
    pub pid: AtomicU32,
    /// Counts the processes that this slot has had; part of the socket's name.
    pub serial: AtomicU32,
    /// Worker threads.
    pub threads: AtomicU32,
    /// [`group_key`] of its process group.
    pub group: AtomicU64,
    /// Proof of access to this table, new for each process.
    pub secret: AtomicU64,
    /// When it was started, seconds since the epoch.
    pub started: AtomicU64,
    /// When the system says that it began, in the system's own unit; 0: not known. With the pid it names the process for good.
    pub born: AtomicU64,
    /// The configuration that it belongs to.
    pub generation: AtomicU32,
}

impl Entry {
    /// Whether it belongs to the group with this key.
    pub fn is_of(&self, group: u64) -> bool {
        self.group.load(Relaxed) == group
    }

    /// Whether there is no process.
    pub fn is_free(&self) -> bool {
        self.state.load(Acquire) == State::Free as u32
    }

    /// Where the process is in its life, as the supervisor has it.
    pub fn state(&self) -> State {
        State::try_from(self.state.load(Acquire) as u8).unwrap_or(State::Free)
    }

    /// Publishes a new state, and everything written to the entry before.
    pub fn set_state(&self, state: State) {
        self.state.store(state as u32, Release);
    }

    /// The process has ended, or there was none.
    pub fn set_free(&self) {
        self.pid.store(0, Relaxed);
        self.set_state(State::Free);
    }
}

/// What the process itself writes, and Apache children count, at the beginning of a page.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Page {
    /// `Reloading` or `Draining`; any other number: it takes requests if its [`Entry`] says so.
    away: AtomicU32,
    /// Requests that Apache children have given to this process and not yet got back.
    pub in_flight: AtomicU32,
    /// Those of them of whose answer nothing has come yet. A process that has nothing to do corrects it.
    pub unanswered: AtomicU32,
    /// Puts what Apache children count into another line of the processors' caches than what the process counts, and the one beside it, which may be
    /// fetched along: otherwise each would take the line from the other several times in each request.
    apart: [u32; 29],
    /// Requests that the process is executing.
    pub busy: AtomicU32,
    /// Requests that it has finished.
    pub requests: AtomicU64,
}

const _: () = assert!(size_of::<Page>() <= PAGE && offset_of!(Page, busy) == 128);

const RELOADING: u32 = State::Reloading as u32;
const DRAINING: u32 = State::Draining as u32;

impl Page {
    /// The process takes no requests until it has a successor, unless it is on its way out.
    pub fn hold(&self) {
        // It is on its way out, or holds already.
        let _ = self.away.compare_exchange(0, RELOADING, AcqRel, Relaxed);
    }

    /// It takes requests again after [`hold`](Self::hold).
    pub fn resume(&self) {
        // It is on its way out, or does not hold.
        let _ = self.away.compare_exchange(RELOADING, 0, AcqRel, Relaxed);
    }

    /// The process takes no more requests.
    pub fn leave(&self) {
        self.away.store(DRAINING, Release);
    }

    /// Whether it has left, or a supervisor that it has no connection to has asked it to.
    pub fn has_left(&self) -> bool {
        self.away.load(Acquire) == DRAINING
    }
}

/// A place for a daemon process.
#[derive(Debug, Clone, Copy)]
pub struct Slot<'t> {
    /// What is believed of it.
    pub entry: &'t Entry,
    /// What it says itself.
    pub page: &'t Page,
}

impl Slot<'_> {
    /// Whether it belongs to the group with this key.
    pub fn is_of(&self, group: u64) -> bool {
        self.entry.is_of(group)
    }

    /// Where the process is in its life. A process that is ready may say that it is not; no other state is its to choose.
    pub fn state(&self) -> State {
        match (self.entry.state(), self.page.away.load(Acquire)) {
            (State::Ready, RELOADING) => State::Reloading,
            (State::Ready, DRAINING) => State::Draining,
            (state, _) => state,
        }
    }

    /// How many of its threads are taken, or will be by requests that are on their way. A request whose answer is there but on its way to a slow client
    /// takes none; one that a process executes is counted by both.
    pub fn taken(&self) -> u32 {
        let (unanswered, busy) = (self.page.unanswered.load(Relaxed), self.page.busy.load(Relaxed));
        self.page.in_flight.load(Relaxed).min(unanswered.saturating_add(busy))
    }

    /// How many requests wait in it for a thread, at least.
    pub fn waiting(&self) -> u32 {
        self.page.unanswered.load(Relaxed).saturating_sub(self.entry.threads.load(Relaxed))
    }

    /// Publishes a new state, and everything written to the slot before. A process on its way out finds that in its page, too.
    pub fn set_state(&self, state: State) {
        self.entry.set_state(state);
        if state == State::Draining {
            self.page.leave();
        }
    }

    /// A process that was starting takes requests, unless it is in a third state by now.
    pub fn admit(&self) {
        // In a third state somebody else knows better.
        let _ = self.entry.state.compare_exchange(State::Starting as u32, State::Ready as u32, AcqRel, Relaxed);
    }

    /// Puts a new process into the slot: everything but what the table cannot know: its pid, when it was started, and its configuration.
    pub fn occupy(&self, group: u64, threads: u32, secret: u64) {
        let Self { entry, page } = self;
        entry.serial.fetch_add(1, Relaxed);
        for number in [&entry.pid, &entry.generation, &page.away, &page.in_flight, &page.unanswered, &page.busy] {
            number.store(0, Relaxed);
        }
        for number in [&entry.started, &entry.born, &page.requests] {
            number.store(0, Relaxed);
        }
        entry.threads.store(threads, Relaxed);
        entry.group.store(group, Relaxed);
        entry.secret.store(secret, Relaxed);
        self.set_state(State::Starting);
    }
}

/// A process group's name as the table knows it. The Apache half refuses a configuration in which two names collide.
pub fn group_key(name: &[u8]) -> u64 {
    digest(name)
}

/// Which processes [`claim`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// One with a free thread.
    Free,
    /// One that itself says that it has a free thread.
    Idle,
    /// Any.
    Any,
}

/// Takes the ready process of the group with the fewest threads taken for those it has, the first of equals, so that an idle group keeps one
/// process warm, and counts one more request there: children that look at the same moment take different processes. `avoid` are slots that have
/// turned this request away. Gives the slot's index.
pub fn claim<'t>(
    slots: impl Iterator<Item = Slot<'t>> + Clone,
    group: u64,
    avoid: &[usize],
    wanted: Wanted,
) -> Option<usize> {
    loop {
        let (_, index, slot, seen, taken) = slots
            .clone()
            .enumerate()
            .filter(|(i, s)| s.is_of(group) && s.state() == State::Ready && !avoid.contains(i))
            .map(|(i, s)| {
                let (threads, seen) = (s.entry.threads.load(Relaxed).max(1), s.page.in_flight.load(Relaxed));
                let taken = if wanted == Wanted::Idle { s.page.busy.load(Relaxed) } else { s.taken() };
                (u64::from(taken) * 1024 / u64::from(threads), i, s, seen, taken)
            })
            .min_by_key(|(load, ..)| *load)?;
        if wanted != Wanted::Any && taken >= slot.entry.threads.load(Relaxed) {
            return None;
        }
        if slot.page.in_flight.compare_exchange(seen, seen.wrapping_add(1), Relaxed, Relaxed).is_ok() {
            slot.page.unanswered.fetch_add(1, Relaxed);
            return Some(index);
        }
    }
}

/// Takes back what [`claim`] counted, unless the slot has another process by now, which counts from zero.
pub fn release(slot: Slot<'_>, serial: u32) {
    less(slot, serial, &slot.page.in_flight);
}

/// The answer to a request begins, or there is none.
pub fn answered(slot: Slot<'_>, serial: u32) {
    less(slot, serial, &slot.page.unanswered);
}

fn less(slot: Slot<'_>, serial: u32, counter: &AtomicU32) {
    if slot.entry.serial.load(Relaxed) == serial {
        // Never below zero, whatever happens in between; a failure says that it is zero already.
        let _ = counter.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
    }
}

/// The socket of the process in a slot. `prefix` is `WSGISocketPrefix`, `parent` the Apache parent's pid.
pub fn socket_path(prefix: &str, parent: u32, slot: usize, serial: u32) -> String {
    format!("{prefix}.{parent}.{slot}.{serial}.sock")
}

/// The administrator's socket of a server.
pub fn control_path(prefix: &str, parent: u32) -> String {
    format!("{prefix}.{parent}.control.sock")
}

/// The longest suffix that [`socket_path`] adds: a prefix must leave room for it within `sun_path`.
pub const SOCKET_SUFFIX: usize = ".4294967295.511.4294967295.sock".len();

#[cfg(test)]
mod tests {
    use super::*;

    type Memory = (Entry, Page);

    fn view(memory: &Memory) -> Slot<'_> {
        Slot { entry: &memory.0, page: &memory.1 }
    }

    fn slot(group: &str, state: State, threads: u32, in_flight: u32) -> Memory {
        let memory = Memory::default();
        let slot = view(&memory);
        slot.occupy(group_key(group.as_bytes()), threads, 1);
        slot.page.in_flight.store(in_flight, Relaxed);
        slot.page.unanswered.store(in_flight, Relaxed);
        slot.set_state(state);
        memory
    }

    #[test]
    fn the_least_busy_ready_process_of_the_group_is_chosen() {
        let table = [
            slot("a", State::Ready, 5, 2),
            slot("b", State::Ready, 5, 0),
            slot("a", State::Draining, 5, 0),
            slot("a", State::Ready, 5, 1),
            slot("a", State::Starting, 5, 0),
        ];
        let claim = |group: &[u8], avoid: &[usize]| claim(table.iter().map(view), group_key(group), avoid, Wanted::Any);
        assert_eq!(claim(b"a", &[]), Some(3));
        assert_eq!(claim(b"a", &[3]), Some(0));
        assert_eq!(claim(b"a", &[0, 3]), None);
        assert_eq!(claim(b"c", &[]), None);
    }

    #[test]
    fn a_claim_counts_until_it_is_released() {
        let table = [slot("a", State::Ready, 1, 0), slot("a", State::Ready, 1, 0)];
        let claim = |wanted| claim(table.iter().map(view), group_key(b"a"), &[], wanted);
        assert_eq!((claim(Wanted::Free), claim(Wanted::Free), claim(Wanted::Free)), (Some(0), Some(1), None));
        assert_eq!(claim(Wanted::Any), Some(0));
        assert_eq!((view(&table[0]).waiting(), view(&table[1]).waiting()), (1, 0));
        release(view(&table[1]), 1);
        answered(view(&table[1]), 1);
        assert_eq!(claim(Wanted::Free), Some(1));
        release(view(&table[1]), 1);
        release(view(&table[1]), 1);
        release(view(&table[0]), 99);
        assert_eq!((table[1].1.in_flight.load(Relaxed), table[0].1.in_flight.load(Relaxed)), (0, 2));
    }

    #[test]
    fn load_is_relative_to_threads() {
        let table = [slot("a", State::Ready, 1, 1), slot("a", State::Ready, 10, 5)];
        assert_eq!(claim(table.iter().map(view), group_key(b"a"), &[], Wanted::Any), Some(1));
    }

    #[test]
    fn a_response_that_only_a_slow_client_waits_for_takes_no_thread() {
        let table = [slot("a", State::Ready, 1, 3)];
        let claim = |wanted| claim(table.iter().map(view), group_key(b"a"), &[], wanted);
        assert_eq!(claim(Wanted::Free), None);
        (0..3).for_each(|_| answered(view(&table[0]), 1));
        assert_eq!((view(&table[0]).taken(), claim(Wanted::Free)), (0, Some(0)));
        assert_eq!(claim(Wanted::Free), None);
        // As the table has it there are four; the process itself has none of them.
        assert_eq!(claim(Wanted::Idle), Some(0));
        table[0].1.busy.store(1, Relaxed);
        assert_eq!(claim(Wanted::Idle), None);
    }

    #[test]
    fn socket_names_fit_the_announced_room() {
        let longest = socket_path("", u32::MAX, SLOTS - 1, u32::MAX);
        assert_eq!(longest.len(), SOCKET_SUFFIX);
        assert!(control_path("", u32::MAX).len() <= SOCKET_SUFFIX);
    }

    #[test]
    fn a_child_that_ends_without_settling_is_noticed_once() {
        let header = Header::default();
        let start = |begins: bool| {
            header.child_started();
            if begins {
                header.child_begins();
            }
        };
        (0..3).for_each(|_| start(true));
        header.child_settles();
        assert!(!header.child_ended());
        assert!(header.child_ended(), "one of two has died");
        header.child_settles();
        assert!(!header.child_ended());
        // Killed before it could count anything.
        start(false);
        assert!(!header.child_ended());
        // One dies while another one has not begun yet: the next end tells.
        start(true);
        start(false);
        assert!(!header.child_ended());
        header.child_begins();
        header.child_settles();
        assert!(header.child_ended());
    }

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
                let Page { away, in_flight, unanswered, busy, requests, apart: _ } = &memory.1;
                [away, in_flight, unanswered, busy].into_iter().for_each(|number| number.store(raw, Relaxed));
                requests.store(u64::MAX, Relaxed);
                let seen = view(&memory).state();
                assert!(seen == state || state == State::Ready, "{state:?} {raw}");
                assert_eq!(view(&memory).entry.is_free(), state == State::Free);
                let claimed = |group: &[u8]| claim([view(&memory)].into_iter(), group_key(group), &[], Wanted::Any);
                assert_eq!(claimed(b"b"), None);
                assert!(claimed(b"a").is_none() || state == State::Ready);
            }
        }
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

    #[test]
    fn an_entry_stays_within_its_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
    }
}
