//! The process table: a memory file that the Apache parent makes, its children inherit and each daemon maps its own page of. A page for what
//! concerns all, a record for each process group, a page for each daemon process. Here is only the layout; whoever maps it guarantees that what
//! is pointed to is really there.

pub mod ending;
pub mod group;
pub mod histogram;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::codec::{byte_enum, digest};
pub use ending::{Ending, Failure};
pub use group::{Group, Queue, Refusal};

/// Bytes of a page of the table: what `mmap` can map alone. Larger machine pages are a multiple of it only on few systems; there the daemon
/// maps the surrounding machine page.
pub const PAGE: usize = 4096;

/// How many daemon processes one server can have at a time, those on their way out included.
pub const SLOTS: usize = 512;

/// How many process groups there can be: each has at least one process.
pub const GROUPS: usize = SLOTS;

/// Bytes of a group's record.
pub const GROUP: usize = 1024;

/// Bytes of the whole table: the header's page, the groups' records, the slots' pages. What was never used takes no memory.
pub const SIZE: usize = offset(SLOTS);

/// Where a slot's page begins in the table.
pub const fn offset(slot: usize) -> usize {
    group_offset(GROUPS).next_multiple_of(PAGE) + PAGE * slot
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

/// The beginning of a page. All zero is a free slot.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Slot {
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
    /// Requests that Apache children have given to this process and not yet got back.
    pub in_flight: AtomicU32,
    /// Those of them of whose answer nothing has come yet. A process that has nothing to do corrects it.
    pub unanswered: AtomicU32,
    /// Requests that the process is executing.
    pub busy: AtomicU32,
    /// Requests that it has finished.
    pub requests: AtomicU64,
    /// When it was started, seconds since the epoch.
    pub started: AtomicU64,
    /// The configuration that it belongs to.
    pub generation: AtomicU32,
}

const _: () = assert!(size_of::<Slot>() <= PAGE);

impl Slot {
    /// Where the process is in its life. A number that is none of ours reads as `Free`.
    pub fn state(&self) -> State {
        let raw = self.state.load(std::sync::atomic::Ordering::Acquire);
        u8::try_from(raw).ok().and_then(|n| State::try_from(n).ok()).unwrap_or(State::Free)
    }

    /// How many of its threads are taken, or will be by requests that are on their way. A request whose answer is there but on its way to a slow client
    /// takes none; one that a process executes is counted by both.
    pub fn taken(&self) -> u32 {
        let (unanswered, busy) = (self.unanswered.load(Relaxed), self.busy.load(Relaxed));
        self.in_flight.load(Relaxed).min(unanswered.saturating_add(busy))
    }

    /// How many requests wait in it for a thread, at least.
    pub fn waiting(&self) -> u32 {
        self.unanswered.load(Relaxed).saturating_sub(self.threads.load(Relaxed))
    }

    /// Publishes a new state, and everything written to the slot before.
    pub fn set_state(&self, state: State) {
        self.state.store(u32::from(state as u8), std::sync::atomic::Ordering::Release);
    }

    /// Goes from one state to another, unless it is in a third one by now.
    pub fn advance(&self, from: State, to: State) {
        let (from, to) = (u32::from(from as u8), u32::from(to as u8));
        // In a third state somebody else knows better.
        let _ = self.state.compare_exchange(from, to, std::sync::atomic::Ordering::AcqRel, Relaxed);
    }

    /// Puts a new process into the slot: everything but what the table cannot know: its pid, when it was started, and its configuration.
    pub fn occupy(&self, group: u64, threads: u32, secret: u64) {
        self.serial.fetch_add(1, Relaxed);
        self.pid.store(0, Relaxed);
        self.threads.store(threads, Relaxed);
        self.group.store(group, Relaxed);
        self.secret.store(secret, Relaxed);
        self.in_flight.store(0, Relaxed);
        self.unanswered.store(0, Relaxed);
        self.busy.store(0, Relaxed);
        self.requests.store(0, Relaxed);
        self.started.store(0, Relaxed);
        self.generation.store(0, Relaxed);
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
    slots: impl Iterator<Item = &'t Slot> + Clone,
    group: u64,
    avoid: &[usize],
    wanted: Wanted,
) -> Option<usize> {
    loop {
        let (_, index, slot, seen, taken) = slots
            .clone()
            .enumerate()
            .filter(|(i, s)| s.group.load(Relaxed) == group && s.state() == State::Ready && !avoid.contains(i))
            .map(|(i, s)| {
                let (threads, seen) = (s.threads.load(Relaxed).max(1), s.in_flight.load(Relaxed));
                let taken = if wanted == Wanted::Idle { s.busy.load(Relaxed) } else { s.taken() };
                (u64::from(taken) * 1024 / u64::from(threads), i, s, seen, taken)
            })
            .min_by_key(|(load, ..)| *load)?;
        if wanted != Wanted::Any && taken >= slot.threads.load(Relaxed) {
            return None;
        }
        if slot.in_flight.compare_exchange(seen, seen.wrapping_add(1), Relaxed, Relaxed).is_ok() {
            slot.unanswered.fetch_add(1, Relaxed);
            return Some(index);
        }
    }
}

/// Takes back what [`claim`] counted, unless the slot has another process by now, which counts from zero.
pub fn release(slot: &Slot, serial: u32) {
    less(slot, serial, &slot.in_flight);
}

/// The answer to a request begins, or there is none.
pub fn answered(slot: &Slot, serial: u32) {
    less(slot, serial, &slot.unanswered);
}

fn less(slot: &Slot, serial: u32, counter: &AtomicU32) {
    if slot.serial.load(Relaxed) == serial {
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

    fn slot(group: &str, state: State, threads: u32, in_flight: u32) -> Slot {
        let s = Slot::default();
        s.occupy(group_key(group.as_bytes()), threads, 1);
        s.in_flight.store(in_flight, Relaxed);
        s.unanswered.store(in_flight, Relaxed);
        s.set_state(state);
        s
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
        let claim = |group: &[u8], avoid: &[usize]| claim(table.iter(), group_key(group), avoid, Wanted::Any);
        assert_eq!(claim(b"a", &[]), Some(3));
        assert_eq!(claim(b"a", &[3]), Some(0));
        assert_eq!(claim(b"a", &[0, 3]), None);
        assert_eq!(claim(b"c", &[]), None);
    }

    #[test]
    fn a_claim_counts_until_it_is_released() {
        let table = [slot("a", State::Ready, 1, 0), slot("a", State::Ready, 1, 0)];
        let claim = |wanted| claim(table.iter(), group_key(b"a"), &[], wanted);
        assert_eq!((claim(Wanted::Free), claim(Wanted::Free), claim(Wanted::Free)), (Some(0), Some(1), None));
        assert_eq!(claim(Wanted::Any), Some(0));
        assert_eq!((table[0].waiting(), table[1].waiting()), (1, 0));
        release(&table[1], 1);
        answered(&table[1], 1);
        assert_eq!(claim(Wanted::Free), Some(1));
        release(&table[1], 1);
        release(&table[1], 1);
        release(&table[0], 99);
        assert_eq!((table[1].in_flight.load(Relaxed), table[0].in_flight.load(Relaxed)), (0, 2));
    }

    #[test]
    fn load_is_relative_to_threads() {
        let table = [slot("a", State::Ready, 1, 1), slot("a", State::Ready, 10, 5)];
        assert_eq!(claim(table.iter(), group_key(b"a"), &[], Wanted::Any), Some(1));
    }

    #[test]
    fn a_response_that_only_a_slow_client_waits_for_takes_no_thread() {
        let table = [slot("a", State::Ready, 1, 3)];
        let claim = |wanted| claim(table.iter(), group_key(b"a"), &[], wanted);
        assert_eq!(claim(Wanted::Free), None);
        (0..3).for_each(|_| answered(&table[0], 1));
        assert_eq!((table[0].taken(), claim(Wanted::Free)), (0, Some(0)));
        assert_eq!(claim(Wanted::Free), None);
        // As the table has it there are four; the process itself has none of them.
        assert_eq!(claim(Wanted::Idle), Some(0));
        table[0].busy.store(1, Relaxed);
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
    fn a_zero_page_is_free() {
        assert_eq!(Slot::default().state(), State::Free);
    }
}
