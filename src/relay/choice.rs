//! Which process gets a request, and how long to wait for one.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

use wsgi_wire::table::{self, Slot, State};

/// A process that takes the request. While this lives, the request counts as in flight there.
#[derive(Debug)]
pub struct Claim<'t> {
    slot: &'t Slot,
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
    }
}

/// What there is for a request now.
#[derive(Debug)]
pub enum Now<'t> {
    /// A process.
    Process(Claim<'t>),
    /// All threads are taken, or there is no process, but one is starting.
    Soon,
    /// Not even that.
    Nothing,
}

/// Looks for the least busy process of a group, leaving out those (slot, serial) that have turned the request away. A busy process is taken
/// only if `queue` or if no other one is starting: its queue would be a longer way than waiting for that.
pub fn look<'t>(
    slots: impl Iterator<Item = &'t Slot> + Clone,
    group: u64,
    avoid: &[(usize, u32)],
    queue: bool,
) -> Now<'t> {
    let turned_away: Vec<usize> = avoid
        .iter()
        .filter(|(index, serial)| slots.clone().nth(*index).is_some_and(|s| s.serial.load(Acquire) == *serial))
        .map(|(index, _)| *index)
        .collect();
    let starting = slots.clone().any(|s| s.state() == State::Starting && s.group.load(Relaxed) == group);
    let claimed = table::claim(slots.clone(), group, &turned_away, starting && !queue);
    match claimed.and_then(|index| snapshot(index, slots.clone().nth(index)?, group)) {
        Some(claim) => Now::Process(claim),
        None if starting || claimed.is_some() => Now::Soon,
        None => Now::Nothing,
    }
}

/// Serial and secret that belong together: the slot may be changing hands at this moment.
fn snapshot(index: usize, slot: &Slot, group: u64) -> Option<Claim<'_>> {
    let serial = slot.serial.load(Acquire);
    let claim = Claim { slot, index, serial, secret: slot.secret.load(Relaxed) };
    let steady = slot.state() == State::Ready && slot.group.load(Relaxed) == group;
    (steady && slot.serial.load(Acquire) == serial).then_some(claim)
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

    /// How long a request waits for a process that is starting before it goes into the queue of a busy one.
    const PICKY: Duration = Duration::from_millis(500);

    /// The first pause between two looks, and the longest.
    const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

    /// Waits up to `limit` from now.
    pub fn new(now: Instant, limit: Duration) -> Self {
        Self { started: now, limit, hopeless: Duration::ZERO, last: now }
    }

    /// Whether it is time to take a place in a queue.
    pub fn queues(&self) -> bool {
        self.last.saturating_duration_since(self.started) >= Self::PICKY
    }

    /// How long to sleep before the next look; `None` when it is time to give up.
    pub fn pause(&mut self, now: Instant, found: &Now<'_>) -> Option<Duration> {
        if matches!(found, Now::Nothing) {
            self.hopeless += now.saturating_duration_since(self.last);
        }
        self.last = now;
        let waited = now.saturating_duration_since(self.started);
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

    #[test]
    fn a_process_that_turned_the_request_away_is_left_out_until_it_is_another() {
        let slots = [slot(State::Ready, 5), slot(State::Ready, 5)];
        let found = |avoid: &[(usize, u32)]| match look(slots.iter(), GROUP, avoid, false) {
            Now::Process(claim) => Some(claim.index),
            _ => None,
        };
        assert_eq!(found(&[]), Some(0));
        assert_eq!(found(&[(0, 1)]), Some(1));
        assert_eq!(found(&[(0, 1), (1, 1)]), None);
        slots[0].occupy(GROUP, 5, 100);
        assert!(matches!(look(slots.iter(), GROUP, &[(0, 1), (1, 1)], false), Now::Soon));
        slots[0].set_state(State::Ready);
        assert_eq!(found(&[(0, 1), (1, 1)]), Some(0));
        assert_eq!(slots[0].in_flight.load(Relaxed), 0);
    }

    #[test]
    fn a_busy_process_is_left_alone_while_another_starts() {
        let slots = [slot(State::Ready, 1), slot(State::Starting, 1)];
        let Now::Process(first) = look(slots.iter(), GROUP, &[], false) else { panic!() };
        assert!(matches!(look(slots.iter(), GROUP, &[], false), Now::Soon));
        assert!(matches!(look(slots.iter(), GROUP, &[], true), Now::Process(_)));
        drop(first);
        assert!(matches!(look(slots.iter(), GROUP, &[], false), Now::Process(_)));
        let slots = [slot(State::Ready, 1)];
        let _first = look(slots.iter(), GROUP, &[], false);
        assert!(matches!(look(slots.iter(), GROUP, &[], false), Now::Process(_)));
    }

    #[test]
    fn a_group_without_processes_is_told_from_one_that_starts() {
        assert!(matches!(look([slot(State::Starting, 5)].iter(), GROUP, &[], false), Now::Soon));
        assert!(matches!(look([slot(State::Draining, 5)].iter(), GROUP, &[], false), Now::Nothing));
        assert!(matches!(look([slot(State::Ready, 5)].iter(), 8, &[], false), Now::Nothing));
    }

    #[test]
    fn patience_ends_with_the_limit_or_when_nothing_starts() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut patience = Patience::new(start, Duration::from_secs(15));
        assert_eq!(patience.pause(at(0), &Now::Soon), Some(Duration::from_millis(1)));
        assert!(!patience.queues());
        assert_eq!(patience.pause(at(10_000), &Now::Soon), Some(Duration::from_millis(20)));
        assert!(patience.queues());
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
