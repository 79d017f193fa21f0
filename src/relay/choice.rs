//! Which process gets a request.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use wsgi_unix::clock;
use wsgi_wire::table::{self, Group, Need, Slot, State};

use super::claim::Claim;
use super::queue::{self, QueueTicket, call_first};
use super::wait_limits::Missing;

/// The result of a look for a process.
#[derive(Debug)]
pub enum Look<'t> {
    /// This process takes the request.
    Process(Claim<'t>),
    /// No process takes it now, but that may change.
    Missing(Missing),
    /// As many requests wait already as may wait.
    Full,
    /// There is no process, and those that were started have failed.
    Failing,
}

/// A process group as its processes are seen in the table.
#[derive(Debug, Clone)]
pub struct Pool<'t, S> {
    /// All slots of the process table.
    pub slots: S,
    /// The key of the group in the process table.
    pub group: u64,
    /// The record of the group in the process table.
    pub record: &'t Group,
    /// `queue-size`: how many of its requests may wait for a thread.
    pub room: u32,
    /// Whether the process with the fewest WebSockets gets it, among those with a free thread if there are any.
    pub evenly: bool,
}

impl<'t, S: Iterator<Item = Slot<'t>> + Clone> Pool<'t, S> {
    /// Looks for the least busy process, leaving out those (slot, serial) that have turned the request away. Where
    /// there is, or will soon be, more than one process, a request is not given to a busy one, unless its requests
    /// are over in a moment: it might wait there for a long request to end while another process gets free. `trusting`:
    /// the table is believed when it says that a
    /// process is busy. `place`: the request's place in the queue, if it has one.
    pub fn look(&self, avoid: &[(usize, u32)], trusting: bool, place: Option<&QueueTicket<'_>>) -> Look<'t> {
        let now = clock::moment();
        let slots = || self.slots.clone();
        let turned_away: Vec<usize> = avoid
            .iter()
            .filter(|(index, serial)| slots().nth(*index).is_some_and(|s| s.entry.serial.load(Acquire) == *serial))
            .map(|(index, _)| *index)
            .collect();
        let (mut ready, mut starting, mut reloading, mut waiting, mut free) = (0, false, false, 0u32, 0u32);
        for (index, slot) in slots().enumerate().filter(|(_, s)| s.is_of(self.group)) {
            match slot.state() {
                State::Ready if !turned_away.contains(&index) => {
                    ready += 1;
                    waiting = waiting.saturating_add(slot.waiting());
                    free = free.saturating_add(slot.room(now));
                }
                State::Starting => starting = true,
                State::Reloading => reloading = true,
                _ => {}
            }
        }
        if ready == 0 && !reloading && self.record.is_failing() {
            return Look::Failing;
        }
        starting |= reloading;
        let queued = queue::waiting(&self.record.queue);
        waiting = waiting.saturating_add(queued);
        let is_full = place.is_none() && waiting >= self.room;
        let need = match trusting {
            true if is_full || starting || ready > 1 => Need::Free,
            false if starting || ready > 1 => Need::Idle,
            _ => Need::Any,
        };
        let behind = need != Need::Any
            && match place {
                None => queued > 0,
                Some(place) => free > 0 && !place.called && (!self.is_for_more(free) || place.call_first()),
            };
        let fewest = if self.evenly { self.has_fewest(&turned_away) } else { None };
        let left_out: Vec<usize> = match fewest {
            Some(fewest) => slots().enumerate().map(|(index, _)| index).filter(|index| *index != fewest).collect(),
            None => turned_away.clone(),
        };
        let claimed = if behind { None } else { table::claim(slots(), self.group, &left_out, need, now) };
        match claimed.and_then(|index| self.snapshot(index, slots().nth(index)?)) {
            Some(claim) => {
                if place.is_some_and(|place| place.called) && self.is_for_more(self.free(&turned_away, now)) {
                    // One was called, but there is work for more: a process has become ready.
                    call_first(&self.record.queue);
                }
                Look::Process(claim)
            }
            None if is_full => Look::Full,
            None if ready > 0 => Look::Missing(Missing::Threads),
            None if starting => Look::Missing(Missing::Ready),
            None => Look::Missing(Missing::Process),
        }
    }

    /// The process that has the fewest WebSockets, of those that have a thread free if there are any.
    fn has_fewest(&self, turned_away: &[usize]) -> Option<usize> {
        let key = |slot: Slot<'_>| (slot.taken() >= slot.entry.threads.load(Relaxed), slot.page.websockets.count());
        self.ready(turned_away).min_by_key(|(_, slot)| key(*slot)).map(|(index, _)| index)
    }

    /// The processes that take requests, but for these, with their slots' indices.
    fn ready(&self, turned_away: &[usize]) -> impl Iterator<Item = (usize, Slot<'t>)> {
        self.slots.clone().enumerate().filter(|(index, slot)| {
            slot.is_of(self.group) && slot.state() == State::Ready && !turned_away.contains(index)
        })
    }

    /// How many threads are free.
    fn free(&self, turned_away: &[usize], now: u32) -> u32 {
        self.ready(turned_away).fold(0, |free, (_, slot)| free.saturating_add(slot.room(now)))
    }

    /// Whether these free threads are more than the requests that have been called for them already.
    fn is_for_more(&self, free: u32) -> bool {
        free > self.record.queue.called(queue::milliseconds())
    }

    /// Reads a serial and the secret that belongs to it, while the slot may be changing hands.
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
    let (mut coming, now) = (false, clock::moment());
    for slot in slots.filter(|slot| slot.is_of(group)) {
        match slot.state() {
            State::Ready if slot.has_room(now) => return false,
            State::Ready | State::Starting | State::Reloading => coming = true,
            _ => {}
        }
    }
    coming
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use wsgi_wire::table::{Entry, Page};

    use super::*;
    use std::time::Duration;

    use crate::relay::queue::{ALIVE, milliseconds};

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
        Pool { slots: slots.iter().map(view), group: GROUP, record, room: 2, evenly: false }
    }

    fn missing(now: &Look<'_>) -> Option<Missing> {
        if let Look::Missing(missing) = now { Some(*missing) } else { None }
    }

    #[test]
    fn a_process_that_turned_the_request_away_is_left_out_until_it_is_another() {
        let (slots, record) = ([slot(State::Ready, 5), slot(State::Ready, 5)], Group::default());
        let pool = pool(&slots, &record);
        let look = |avoid: &[(usize, u32)]| pool.look(avoid, true, None);
        let found = |avoid: &[(usize, u32)]| match look(avoid) {
            Look::Process(claim) => Some(claim.index),
            _ => None,
        };
        assert_eq!(found(&[]), Some(0));
        assert_eq!(found(&[(0, 1)]), Some(1));
        assert_eq!(missing(&look(&[(0, 1), (1, 1)])), Some(Missing::Process));
        view(&slots[0]).occupy(GROUP, 5, 100);
        assert_eq!(missing(&look(&[(0, 1), (1, 1)])), Some(Missing::Ready));
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
            let Look::Process(first) = pool.look(&[], true, None) else { panic!() };
            assert_eq!(missing(&pool.look(&[], true, None)), Some(Missing::Threads));
            assert!(matches!(pool.look(&[], false, None), Look::Process(_)), "the processes say that they are idle");
            drop(first);
            assert!(matches!(pool.look(&[], true, None), Look::Process(_)));
        }
        let (slots, record) = ([slot(State::Ready, 1)], Group::default());
        let pool = pool(&slots, &record);
        let _first = pool.look(&[], true, None);
        assert!(matches!(pool.look(&[], true, None), Look::Process(_)));
    }

    #[test]
    fn no_more_wait_than_may() {
        let (slots, record) = ([slot(State::Ready, 1)], Group::default());
        let single = pool(&slots, &record);
        let taken: Vec<_> = (0..3).map(|_| single.look(&[], true, None)).collect();
        assert!(taken.iter().all(|now| matches!(now, Look::Process(_))));
        assert!(matches!(single.look(&[], true, None), Look::Full));
        drop(taken);
        assert!(matches!(single.look(&[], true, None), Look::Process(_)));

        let slots = [slot(State::Starting, 1)];
        let starting = pool(&slots, &record);
        let places = [QueueTicket::take(&record.queue), QueueTicket::take(&record.queue)];
        assert!(matches!(starting.look(&[], true, None), Look::Full));
        assert_eq!(
            missing(&starting.look(&[], true, places.first())),
            Some(Missing::Ready),
            "who waits goes on waiting"
        );
    }

    #[test]
    fn a_websocket_goes_to_the_process_that_has_the_fewest() {
        let (slots, record) = ([slot(State::Ready, 5), slot(State::Ready, 5)], Group::default());
        let pool = Pool { evenly: true, ..pool(&slots, &record) };
        let found = || match pool.look(&[], true, None) {
            Look::Process(claim) => Some(claim.index),
            _ => None,
        };
        assert!(slots[0].1.websockets.take(9).is_some());
        assert_eq!(found(), Some(1));
        assert!([slots[1].1.websockets.take(9), slots[1].1.websockets.take(9)].iter().all(Option::is_some));
        assert_eq!(found(), Some(0));
        slots[0].1.in_flight.store(5, Relaxed);
        slots[0].1.unanswered.store(5, Relaxed);
        assert_eq!(found(), Some(1), "the other one has no thread");
    }

    #[test]
    fn who_comes_later_does_not_push_in() {
        let (slots, record) = ([slot(State::Ready, 1), slot(State::Ready, 1)], Group::default());
        let pool = pool(&slots, &record);
        let place = QueueTicket::take(&record.queue);
        assert_eq!(missing(&pool.look(&[], true, None)), Some(Missing::Threads));
        assert!(matches!(pool.look(&[], true, Some(&place)), Look::Process(_)), "nobody else waits");
        drop(place);
        assert!(matches!(pool.look(&[], true, None), Look::Process(_)));
        // Nobody looks any more: they are dead.
        record.queue.join(milliseconds() - ALIVE, ALIVE);
        assert!(matches!(pool.look(&[], true, None), Look::Process(_)));
        drop(QueueTicket::take(&record.queue));
        assert!(!record.queue.is_used());
    }

    #[test]
    fn nobody_takes_the_thread_for_which_another_one_has_been_called() {
        let (slots, record) = ([slot(State::Ready, 1), slot(State::Ready, 1)], Group::default());
        let pool = pool(&slots, &record);
        let place = QueueTicket::take(&record.queue);
        assert_eq!(record.queue.called(milliseconds()), 0);
        record.queue.call();
        let Look::Process(first) = pool.look(&[], true, Some(&place)) else { panic!("there are two threads") };
        assert_eq!(missing(&pool.look(&[], true, Some(&place))), Some(Missing::Threads));
        record.queue.missed();
        assert!(matches!(pool.look(&[], true, Some(&place)), Look::Process(_)), "there was nobody to be called");
        drop(first);
    }

    #[test]
    fn who_is_alone_sleeps_though_the_table_says_that_a_thread_is_free() {
        let (slots, record) = ([slot(State::Ready, 1), slot(State::Ready, 1)], Group::default());
        slots.iter().for_each(|slot| slot.1.busy.store(1, Relaxed));
        let mut place = QueueTicket::take(&record.queue);
        let start = Instant::now();
        assert_eq!(missing(&pool(&slots, &record).look(&[], false, Some(&place))), Some(Missing::Threads));
        place.wait(Duration::from_millis(20));
        assert!(start.elapsed() >= Duration::from_millis(20), "it has called nobody but itself");
    }

    #[test]
    fn a_group_without_processes_is_told_from_one_that_starts_or_fails() {
        let record = Group::default();
        let look = |state: State| missing(&pool(&[slot(state, 5)], &record).look(&[], true, None));
        assert_eq!(look(State::Starting), Some(Missing::Ready));
        assert_eq!(look(State::Reloading), Some(Missing::Ready));
        assert_eq!(look(State::Draining), Some(Missing::Process));
        record.set_failing(true);
        for state in [State::Starting, State::Free] {
            assert!(matches!(pool(&[slot(state, 5)], &record).look(&[], true, None), Look::Failing));
        }
        assert!(matches!(pool(&[slot(State::Ready, 5)], &record).look(&[], true, None), Look::Process(_)));
    }

    #[test]
    fn a_request_that_ends_wakes_one_that_waits() {
        let (slots, record) = ([slot(State::Ready, 1)], Group::default());
        let Look::Process(claim) = pool(&slots, &record).look(&[], true, None) else { panic!() };
        let start = Instant::now();
        let mut place = QueueTicket::take(&record.queue);
        std::thread::scope(|scope| {
            scope.spawn(|| place.wait(Duration::from_millis(900)));
            // Nothing tells that a thread sleeps; one that does not yet does not begin to.
            std::thread::sleep(Duration::from_millis(20));
            drop(claim);
        });
        assert!(start.elapsed() < Duration::from_millis(800));
        drop(place);
        assert!(!record.queue.is_used());
    }
}
