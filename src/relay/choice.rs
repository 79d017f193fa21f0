//! Which process gets a request, and where requests wait.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::thread::futex;
use rustix::time::{ClockId, clock_gettime};
use wsgi_unix::stop;
use wsgi_wire::table::{self, Group, Queue, Slot, State, Wanted};

use super::wait_limits::{Lack, Patience};

/// A process that takes the request. While this lives, the request counts as in flight there.
#[derive(Debug)]
pub struct Claim<'t> {
    slot: Slot<'t>,
    queue: &'t Queue,
    /// Its slot.
    pub index: usize,
    /// Which of the processes that the slot has had.
    pub serial: u32,
    /// Proof of access for it.
    pub secret: u64,
    answered: Cell<bool>,
    done: Cell<bool>,
}

impl Claim<'_> {
    /// The process's id, as the supervisor knows it.
    pub fn pid(&self) -> u32 {
        self.slot.entry.pid.load(Relaxed)
    }

    /// Whether the process is no more, whoever holds its sockets: what it has forked may do so.
    pub fn has_ended(&self) -> bool {
        self.slot.entry.is_free() || self.slot.entry.serial.load(Acquire) != self.serial
    }

    /// The answer begins, or will not come.
    pub fn answered(&self) {
        if !self.answered.replace(true) {
            table::answered(self.slot, self.serial);
        }
    }

    /// The process has done its part, whatever time the client takes for what is still to be sent: the request does not count any more.
    pub fn done(&self) {
        if self.done.replace(true) {
            return;
        }
        self.answered();
        table::release(self.slot, self.serial);
        if self.queue.waiting.load(Acquire) > 0 {
            wake_first(self.queue);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.done();
    }
}

/// What there is for a request now.
#[derive(Debug)]
pub enum Now<'t> {
    /// A process.
    Process(Claim<'t>),
    /// Nothing, but that may change.
    Lack(Lack),
    /// As many requests wait already as may.
    Full,
    /// None, and those that were started have failed.
    Failing,
}

/// A process group as its processes are seen in the table.
#[derive(Debug, Clone)]
pub struct Pool<'t, S> {
    /// All slots.
    pub slots: S,
    /// The group's name in the table.
    pub group: u64,
    /// Its record there.
    pub record: &'t Group,
    /// `queue-size`: how many of its requests may wait for a thread.
    pub room: u32,
}

impl<'t, S: Iterator<Item = Slot<'t>> + Clone> Pool<'t, S> {
    /// Looks for the least busy process, leaving out those (slot, serial) that have turned the request away. Where there is, or will soon be,
    /// more than one process, a request is not given to a busy one, where it might wait for a long one to end while another gets free. `trusting`:
    /// that a process is busy is believed. `place`: the request's place in the queue, if it has one.
    pub fn look(&self, avoid: &[(usize, u32)], trusting: bool, place: Option<&Place<'_>>) -> Now<'t> {
        let slots = || self.slots.clone();
        let turned_away: Vec<usize> = avoid
            .iter()
            .filter(|(index, serial)| slots().nth(*index).is_some_and(|s| s.entry.serial.load(Acquire) == *serial))
            .map(|(index, _)| *index)
            .collect();
        let (mut ready, mut starting, mut reloading, mut waiting, mut free) = (0, false, false, 0u32, false);
        for (index, slot) in slots().enumerate().filter(|(_, s)| s.is_of(self.group)) {
            match slot.state() {
                State::Ready if !turned_away.contains(&index) => {
                    ready += 1;
                    waiting = waiting.saturating_add(slot.waiting());
                    free |= slot.taken() < slot.entry.threads.load(Relaxed);
                }
                State::Starting => starting = true,
                State::Reloading => reloading = true,
                _ => {}
            }
        }
        if ready == 0 && !reloading && self.record.is_failing() {
            return Now::Failing;
        }
        starting |= reloading;
        let queued = is_alive(&self.record.queue);
        if queued {
            waiting = waiting.saturating_add(self.record.queue.waiting.load(Relaxed));
        }
        let is_full = place.is_none() && waiting >= self.room;
        let wanted = match trusting {
            true if is_full || starting || ready > 1 => Wanted::Free,
            false if starting || ready > 1 => Wanted::Idle,
            _ => Wanted::Any,
        };
        let behind = wanted != Wanted::Any
            && match place {
                None => queued,
                Some(place) => free && !place.woken && wake_first(&self.record.queue),
            };
        let claimed = if behind { None } else { table::claim(slots(), self.group, &turned_away, wanted) };
        match claimed.and_then(|index| self.snapshot(index, slots().nth(index)?)) {
            Some(claim) => {
                if place.is_some_and(|place| place.woken) && self.has_free(&turned_away) {
                    // One was woken, but there is work for more: a process has become ready.
                    wake_first(&self.record.queue);
                }
                Now::Process(claim)
            }
            None if is_full => Now::Full,
            None if ready > 0 => Now::Lack(Lack::Threads),
            None if starting => Now::Lack(Lack::Ready),
            None => Now::Lack(Lack::Process),
        }
    }

    fn has_free(&self, turned_away: &[usize]) -> bool {
        let mut ready = self.slots.clone().enumerate().filter(|(index, slot)| {
            slot.is_of(self.group) && slot.state() == State::Ready && !turned_away.contains(index)
        });
        ready.any(|(_, slot)| slot.taken() < slot.entry.threads.load(Relaxed))
    }

    /// Serial and secret that belong together: the slot may be changing hands at this moment.
    fn snapshot(&self, index: usize, slot: Slot<'t>) -> Option<Claim<'t>> {
        let serial = slot.entry.serial.load(Acquire);
        let claim = Claim {
            slot,
            queue: &self.record.queue,
            index,
            serial,
            secret: slot.entry.secret.load(Relaxed),
            answered: Cell::new(false),
            done: Cell::new(false),
        };
        let steady = slot.state() == State::Ready && slot.is_of(self.group);
        (steady && slot.entry.serial.load(Acquire) == serial).then_some(claim)
    }
}

/// Whether the group has processes that take requests, or soon will, and none of them has a thread free.
pub fn are_all_busy<'t>(slots: impl Iterator<Item = Slot<'t>>, group: u64) -> bool {
    let mut coming = false;
    for slot in slots.filter(|slot| slot.is_of(group)) {
        match slot.state() {
            State::Ready if slot.taken() < slot.entry.threads.load(Relaxed) => return false,
            State::Ready | State::Starting | State::Reloading => coming = true,
            _ => {}
        }
    }
    coming
}

/// Wakes the request that waits for longest. Whether there is one.
fn wake_first(queue: &Queue) -> bool {
    queue.freed.fetch_add(1, Release);
    futex::wake(&queue.freed, futex::Flags::empty(), 1).is_ok_and(|woken| woken > 0)
}

/// A place in the queue of a group.
///
/// The kernel keeps those that sleep on a futex in order, so who waits sleeps until it is woken, but for the last: as its place is at the end anyway,
/// it may get up and look whether a thread is free that nobody was woken for, because a process has become ready or an Apache child has died, and
/// wakes the first then.
#[derive(Debug)]
pub struct Place<'t> {
    queue: &'t Queue,
    ticket: u32,
    seen: u32,
    /// Whether somebody has said that it is its turn.
    woken: bool,
}

impl<'t> Place<'t> {
    /// Takes a place at the end.
    pub fn take(queue: &'t Queue) -> Self {
        if !is_alive(queue) {
            // Who is still counted has died with its child.
            queue.waiting.store(0, Release);
        }
        queue.waiting.fetch_add(1, AcqRel);
        queue.looked.store(milliseconds(), Relaxed);
        Self { queue, ticket: next_ticket(queue), seen: queue.freed.load(Acquire), woken: false }
    }

    /// Whether nobody has come later.
    pub fn is_last(&self) -> bool {
        self.queue.tickets.load(Acquire) == self.ticket
    }

    /// Leaves, and lets the next one look: the thread that this place has waited for is still free.
    pub fn pass_on(self) {
        let queue = self.queue;
        drop(self);
        wake_first(queue);
    }

    /// Waits until a thread of the group may have got free since the last look, but not longer than `pause`.
    pub fn wait(&mut self, pause: Duration) {
        let pause = Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: pause.subsec_nanos().into() };
        if self.woken {
            // In vain: somebody else was quicker. This place was given up for that.
            self.ticket = next_ticket(self.queue);
        }
        // Too late to wait, or the pause is over: the next thing is another look.
        self.woken = futex::wait(&self.queue.freed, futex::Flags::empty(), self.seen, Some(&pause)).is_ok();
        self.seen = self.queue.freed.load(Acquire);
        self.queue.looked.store(milliseconds(), Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // It may be counted anew meanwhile, because an Apache child has died; it is never less than empty.
        let before = self.queue.waiting.fetch_update(AcqRel, Acquire, |n| n.checked_sub(1));
        if (self.is_last() || stop::has_begun()) && before.is_ok_and(|n| n > 1) {
            // Another one has to look from now on: the first, whose turn it may well be. In a child that stops, each one tells the next.
            wake_first(self.queue);
        }
    }
}

fn next_ticket(queue: &Queue) -> u32 {
    queue.tickets.fetch_add(1, AcqRel).wrapping_add(1)
}

/// Longer than any wait in a queue between two looks.
const ALIVE: u64 = 4 * Patience::LOOK.as_millis() as u64;

/// How many requests wait. Who has died with its child is not counted.
pub fn waiting(queue: &Queue) -> u32 {
    if is_alive(queue) { queue.waiting.load(Relaxed) } else { 0 }
}

/// Whether anybody who is counted as waiting is still there.
fn is_alive(queue: &Queue) -> bool {
    queue.waiting.load(Acquire) > 0 && milliseconds().saturating_sub(queue.looked.load(Relaxed)) < ALIVE
}

/// A clock that all processes of the machine share.
fn milliseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use wsgi_wire::table::{Entry, Page};

    use super::*;

    const GROUP: u64 = 7;

    type Memory = (Entry, Page);

    fn view(memory: &Memory) -> Slot<'_> {
        Slot { entry: &memory.0, page: &memory.1 }
    }

    fn slot(state: State, threads: u32) -> Memory {
        let memory = Memory::default();
        view(&memory).occupy(GROUP, threads, 99);
        view(&memory).set_state(state);
        memory
    }

    fn pool<'t>(slots: &'t [Memory], record: &'t Group) -> Pool<'t, impl Iterator<Item = Slot<'t>> + Clone> {
        Pool { slots: slots.iter().map(view), group: GROUP, record, room: 2 }
    }

    fn lack(now: &Now<'_>) -> Option<Lack> {
        if let Now::Lack(lack) = now { Some(*lack) } else { None }
    }

    #[test]
    fn a_process_that_turned_the_request_away_is_left_out_until_it_is_another() {
        let (slots, record) = ([slot(State::Ready, 5), slot(State::Ready, 5)], Group::default());
        let pool = pool(&slots, &record);
        let look = |avoid: &[(usize, u32)]| pool.look(avoid, true, None);
        let found = |avoid: &[(usize, u32)]| match look(avoid) {
            Now::Process(claim) => Some(claim.index),
            _ => None,
        };
        assert_eq!(found(&[]), Some(0));
        assert_eq!(found(&[(0, 1)]), Some(1));
        assert_eq!(lack(&look(&[(0, 1), (1, 1)])), Some(Lack::Process));
        view(&slots[0]).occupy(GROUP, 5, 100);
        assert_eq!(lack(&look(&[(0, 1), (1, 1)])), Some(Lack::Ready));
        view(&slots[0]).set_state(State::Ready);
        assert_eq!(found(&[(0, 1), (1, 1)]), Some(0));
        assert_eq!(slots[0].1.in_flight.load(Relaxed), 0);
    }

    #[test]
    fn a_busy_process_is_left_alone_while_there_is_a_choice() {
        for other in [State::Starting, State::Ready] {
            let (slots, record) = ([slot(State::Ready, 1), slot(other, 1)], Group::default());
            let pool = pool(&slots, &record);
            for counter in [&slots[1].1.in_flight, &slots[1].1.unanswered] {
                counter.store(1, Relaxed);
            }
            let Now::Process(first) = pool.look(&[], true, None) else { panic!() };
            assert_eq!(lack(&pool.look(&[], true, None)), Some(Lack::Threads));
            assert!(matches!(pool.look(&[], false, None), Now::Process(_)), "the processes say that they are idle");
            drop(first);
            assert!(matches!(pool.look(&[], true, None), Now::Process(_)));
        }
        let (slots, record) = ([slot(State::Ready, 1)], Group::default());
        let pool = pool(&slots, &record);
        let _first = pool.look(&[], true, None);
        assert!(matches!(pool.look(&[], true, None), Now::Process(_)));
    }

    #[test]
    fn no_more_wait_than_may() {
        let (slots, record) = ([slot(State::Ready, 1)], Group::default());
        let single = pool(&slots, &record);
        let taken: Vec<_> = (0..3).map(|_| single.look(&[], true, None)).collect();
        assert!(taken.iter().all(|now| matches!(now, Now::Process(_))));
        assert!(matches!(single.look(&[], true, None), Now::Full));
        drop(taken);
        assert!(matches!(single.look(&[], true, None), Now::Process(_)));

        let slots = [slot(State::Starting, 1)];
        let starting = pool(&slots, &record);
        let places = [Place::take(&record.queue), Place::take(&record.queue)];
        assert!(matches!(starting.look(&[], true, None), Now::Full));
        assert_eq!(lack(&starting.look(&[], true, places.first())), Some(Lack::Ready), "who waits goes on waiting");
    }

    #[test]
    fn who_comes_later_does_not_push_in() {
        let (slots, record) = ([slot(State::Ready, 1), slot(State::Ready, 1)], Group::default());
        let pool = pool(&slots, &record);
        let place = Place::take(&record.queue);
        assert_eq!(lack(&pool.look(&[], true, None)), Some(Lack::Threads));
        assert!(matches!(pool.look(&[], true, Some(&place)), Now::Process(_)), "nobody else waits");
        drop(place);
        assert!(matches!(pool.look(&[], true, None), Now::Process(_)));
        // Nobody looks any more: they are dead.
        record.queue.waiting.store(9, Relaxed);
        record.queue.looked.store(milliseconds() - ALIVE, Relaxed);
        assert!(matches!(pool.look(&[], true, None), Now::Process(_)));
        drop(Place::take(&record.queue));
        assert_eq!(record.queue.waiting.load(Relaxed), 0);
    }

    #[test]
    fn a_group_without_processes_is_told_from_one_that_starts_or_fails() {
        let record = Group::default();
        let look = |state: State| lack(&pool(&[slot(state, 5)], &record).look(&[], true, None));
        assert_eq!(look(State::Starting), Some(Lack::Ready));
        assert_eq!(look(State::Reloading), Some(Lack::Ready));
        assert_eq!(look(State::Draining), Some(Lack::Process));
        record.set_failing(true);
        for state in [State::Starting, State::Free] {
            assert!(matches!(pool(&[slot(state, 5)], &record).look(&[], true, None), Now::Failing));
        }
        assert!(matches!(pool(&[slot(State::Ready, 5)], &record).look(&[], true, None), Now::Process(_)));
    }

    #[test]
    fn when_the_last_leaves_another_one_looks_for_all() {
        let queue = Queue::default();
        let (mut first, last) = (Place::take(&queue), Place::take(&queue));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                first.wait(Duration::from_secs(5));
                assert!(first.woken && !first.is_last());
                first.wait(Duration::from_millis(1));
                first.is_last()
            });
            std::thread::sleep(Duration::from_millis(50));
            drop(last);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn a_request_that_ends_wakes_one_that_waits() {
        let (slots, record) = ([slot(State::Ready, 1)], Group::default());
        let Now::Process(claim) = pool(&slots, &record).look(&[], true, None) else { panic!() };
        let start = Instant::now();
        let mut place = Place::take(&record.queue);
        std::thread::scope(|scope| {
            scope.spawn(|| place.wait(Duration::from_millis(900)));
            std::thread::sleep(Duration::from_millis(20));
            drop(claim);
        });
        assert!(start.elapsed() < Duration::from_millis(800));
        drop(place);
        assert_eq!(record.queue.waiting.load(Relaxed), 0);
    }
}
