//! Which process gets a request, and how long to wait for one.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::thread::futex;
use wsgi_wire::table::{self, Queue, Slot, State};

/// A process that takes the request. While this lives, the request counts as in flight there.
#[derive(Debug)]
pub struct Claim<'t> {
    slot: &'t Slot,
    queue: &'t Queue,
    /// Its slot.
    pub index: usize,
    /// Which of the processes that the slot has had.
    pub serial: u32,
    /// Proof of access for it.
    pub secret: u64,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        table::release(self.slot, self.serial);
        if self.queue.waiting.load(Acquire) > 0 {
            self.queue.freed.fetch_add(1, Release);
            // Whoever is not woken looks again after a pause anyway.
            let _ = futex::wake(&self.queue.freed, futex::Flags::empty(), 1);
        }
    }
}

/// What there is for a request now.
#[derive(Debug)]
pub enum Now<'t> {
    /// A process.
    Process(Claim<'t>),
    /// All threads are taken, or there is no process but one that is starting or waits for its successor.
    Soon,
    /// Not even that.
    Nothing,
}

/// A process group as its processes are seen in the table.
#[derive(Debug, Clone)]
pub struct Pool<'t, S> {
    /// All slots.
    pub slots: S,
    /// The group's name in the table.
    pub group: u64,
    /// Where its requests wait.
    pub queue: &'t Queue,
}

impl<'t, S: Iterator<Item = &'t Slot> + Clone> Pool<'t, S> {
    /// Looks for the least busy process, leaving out those (slot, serial) that have turned the request away. Where there is, or will soon be,
    /// more than one process, a request is not given to a busy one, where it might wait for a long one to end while another gets free, unless
    /// `patient` is over.
    pub fn look(&self, avoid: &[(usize, u32)], patient: bool) -> Now<'t> {
        let slots = || self.slots.clone();
        let turned_away: Vec<usize> = avoid
            .iter()
            .filter(|(index, serial)| slots().nth(*index).is_some_and(|s| s.serial.load(Acquire) == *serial))
            .map(|(index, _)| *index)
            .collect();
        let (mut ready, mut starting) = (0, false);
        for (index, slot) in slots().enumerate().filter(|(_, s)| s.group.load(Relaxed) == self.group) {
            match slot.state() {
                State::Ready if !turned_away.contains(&index) => ready += 1,
                State::Starting | State::Reloading => starting = true,
                _ => {}
            }
        }
        let idle_only = patient && (starting || ready > 1);
        let claimed = table::claim(slots(), self.group, &turned_away, idle_only);
        match claimed.and_then(|index| self.snapshot(index, slots().nth(index)?)) {
            Some(claim) => Now::Process(claim),
            None if starting || ready > 0 => Now::Soon,
            None => Now::Nothing,
        }
    }

    /// Serial and secret that belong together: the slot may be changing hands at this moment.
    fn snapshot(&self, index: usize, slot: &'t Slot) -> Option<Claim<'t>> {
        let serial = slot.serial.load(Acquire);
        let claim = Claim { slot, queue: self.queue, index, serial, secret: slot.secret.load(Relaxed) };
        let steady = slot.state() == State::Ready && slot.group.load(Relaxed) == self.group;
        (steady && slot.serial.load(Acquire) == serial).then_some(claim)
    }
}

/// A place in the queue of a group, from the first pause on.
#[derive(Debug)]
pub struct Place<'t> {
    queue: &'t Queue,
    seen: u32,
}

impl<'t> Place<'t> {
    /// Takes a place. Look once more before the first wait: what got free until now wakes nobody.
    pub fn take(queue: &'t Queue) -> Self {
        queue.waiting.fetch_add(1, AcqRel);
        Self { queue, seen: queue.freed.load(Acquire) }
    }

    /// Waits until a thread of the group may have got free since the last look, but not longer than `pause`.
    pub fn wait(&mut self, pause: Duration) {
        let pause = Timespec { tv_sec: 0, tv_nsec: pause.subsec_nanos().into() };
        // Woken, too late to wait, or the pause is over: each time the next thing is another look.
        let _ = futex::wait(&self.queue.freed, futex::Flags::empty(), self.seen, Some(&pause));
        self.seen = self.queue.freed.load(Acquire);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.waiting.fetch_sub(1, AcqRel);
    }
}

/// How long a request has waited for a process, and whether it should go on.
#[derive(Debug)]
pub struct Patience {
    started: Instant,
    limit: Duration,
    hopeless: Duration,
    last: Instant,
}

impl Patience {
    /// As long as no process of the group is even starting, this much in sum is enough: its interpreter does not start at all.
    const HOPELESS: Duration = Duration::from_secs(3);

    /// How long a request waits for a free thread before it is given to a busy process.
    const PICKY: Duration = Duration::from_millis(500);

    /// The first pause between two looks, and the longest.
    const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

    /// Waits up to `limit` from now.
    pub fn new(now: Instant, limit: Duration) -> Self {
        Self { started: now, limit, hopeless: Duration::ZERO, last: now }
    }

    /// Whether it is too early to be given to a busy process.
    pub fn is_patient(&self) -> bool {
        self.last.saturating_duration_since(self.started) < Self::PICKY
    }

    /// How long it has waited.
    pub fn waited(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// How long to sleep before the next look; `None` when it is time to give up.
    pub fn pause(&mut self, now: Instant, found: &Now<'_>) -> Option<Duration> {
        if matches!(found, Now::Nothing) {
            self.hopeless += now.saturating_duration_since(self.last);
        }
        self.last = now;
        let waited = self.waited(now);
        if waited >= self.limit || self.hopeless >= Self::HOPELESS {
            return None;
        }
        let (first, longest) = Self::PAUSES;
        Some((waited / 4).clamp(first, longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: u64 = 7;

    fn slot(state: State, threads: u32) -> Slot {
        let slot = Slot::default();
        slot.occupy(GROUP, threads, 99);
        slot.set_state(state);
        slot
    }

    fn pool<'t>(slots: &'t [Slot], queue: &'t Queue) -> Pool<'t, std::slice::Iter<'t, Slot>> {
        Pool { slots: slots.iter(), group: GROUP, queue }
    }

    #[test]
    fn a_process_that_turned_the_request_away_is_left_out_until_it_is_another() {
        let (slots, queue) = ([slot(State::Ready, 5), slot(State::Ready, 5)], Queue::default());
        let pool = pool(&slots, &queue);
        let found = |avoid: &[(usize, u32)]| match pool.look(avoid, true) {
            Now::Process(claim) => Some(claim.index),
            _ => None,
        };
        assert_eq!(found(&[]), Some(0));
        assert_eq!(found(&[(0, 1)]), Some(1));
        assert_eq!(found(&[(0, 1), (1, 1)]), None);
        assert!(matches!(pool.look(&[(0, 1), (1, 1)], true), Now::Nothing));
        slots[0].occupy(GROUP, 5, 100);
        assert!(matches!(pool.look(&[(0, 1), (1, 1)], true), Now::Soon));
        slots[0].set_state(State::Ready);
        assert_eq!(found(&[(0, 1), (1, 1)]), Some(0));
        assert_eq!(slots[0].in_flight.load(Relaxed), 0);
    }

    #[test]
    fn a_busy_process_is_left_alone_while_there_is_a_choice() {
        for other in [State::Starting, State::Ready] {
            let (slots, queue) = ([slot(State::Ready, 1), slot(other, 1)], Queue::default());
            let pool = pool(&slots, &queue);
            slots[1].in_flight.store(1, Relaxed);
            let Now::Process(first) = pool.look(&[], true) else { panic!() };
            assert!(matches!(pool.look(&[], true), Now::Soon));
            assert!(matches!(pool.look(&[], false), Now::Process(_)));
            drop(first);
            assert!(matches!(pool.look(&[], true), Now::Process(_)));
        }
        let (slots, queue) = ([slot(State::Ready, 1)], Queue::default());
        let pool = pool(&slots, &queue);
        let _first = pool.look(&[], true);
        assert!(matches!(pool.look(&[], true), Now::Process(_)));
    }

    #[test]
    fn a_group_without_processes_is_told_from_one_that_starts() {
        let queue = Queue::default();
        assert!(matches!(pool(&[slot(State::Starting, 5)], &queue).look(&[], true), Now::Soon));
        assert!(matches!(pool(&[slot(State::Reloading, 5)], &queue).look(&[], true), Now::Soon));
        assert!(matches!(pool(&[slot(State::Draining, 5)], &queue).look(&[], true), Now::Nothing));
        assert!(matches!(pool(&[], &queue).look(&[], true), Now::Nothing));
    }

    #[test]
    fn a_request_that_ends_wakes_one_that_waits() {
        let (slots, queue) = ([slot(State::Ready, 1)], Queue::default());
        let Now::Process(claim) = pool(&slots, &queue).look(&[], true) else { panic!() };
        let start = Instant::now();
        let mut place = Place::take(&queue);
        std::thread::scope(|scope| {
            scope.spawn(|| place.wait(Duration::from_millis(900)));
            std::thread::sleep(Duration::from_millis(20));
            drop(claim);
        });
        assert!(start.elapsed() < Duration::from_millis(800));
        drop(place);
        assert_eq!(queue.waiting.load(Relaxed), 0);
    }

    #[test]
    fn patience_ends_with_the_limit_or_when_nothing_starts() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut patience = Patience::new(start, Duration::from_secs(15));
        assert_eq!(patience.pause(at(0), &Now::Soon), Some(Duration::from_millis(1)));
        assert!(patience.is_patient());
        assert_eq!(patience.pause(at(10_000), &Now::Soon), Some(Duration::from_millis(20)));
        assert!(!patience.is_patient());
        assert_eq!(patience.pause(at(15_000), &Now::Soon), None);
        let mut patience = Patience::new(start, Duration::from_secs(15));
        assert!(patience.pause(at(2_000), &Now::Nothing).is_some());
        assert!(patience.pause(at(4_000), &Now::Soon).is_some());
        assert!(patience.pause(at(4_900), &Now::Nothing).is_some());
        assert!(patience.pause(at(5_100), &Now::Nothing).is_none());
        let mut patience = Patience::new(start, Duration::ZERO);
        assert!(patience.pause(at(0), &Now::Soon).is_none());
    }
}
