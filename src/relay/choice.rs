//! Which process gets a request, and how long to wait for one.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

use wsgi_wire::table::{self, Slot, State};

/// A process that takes requests.
#[derive(Debug, Clone, Copy)]
pub struct Chosen {
    /// Its slot.
    pub index: usize,
    /// Which of the processes that the slot has had.
    pub serial: u32,
    /// Proof of access for it.
    pub secret: u64,
}

/// What there is for a request now.
#[derive(Debug, Clone, Copy)]
pub enum Now {
    /// A process.
    Process(Chosen),
    /// One is starting.
    Soon,
    /// Not even that.
    Nothing,
}

/// Looks for the least busy process of a group, leaving out those (slot, serial) that have turned the request away.
pub fn look<'t>(slots: impl Iterator<Item = &'t Slot> + Clone, group: u64, avoid: &[(usize, u32)]) -> Now {
    let turned_away: Vec<usize> = avoid
        .iter()
        .filter(|(index, serial)| slots.clone().nth(*index).is_some_and(|s| s.serial.load(Acquire) == *serial))
        .map(|(index, _)| *index)
        .collect();
    if let Some(index) = table::choose(slots.clone(), group, &turned_away)
        && let Some(slot) = slots.clone().nth(index)
        && let Some(chosen) = snapshot(index, slot, group)
    {
        return Now::Process(chosen);
    }
    let starting = slots.into_iter().any(|s| s.group.load(Relaxed) == group && s.state() == State::Starting);
    if starting { Now::Soon } else { Now::Nothing }
}

/// Serial and secret that belong together: the slot may be changing hands at this moment.
fn snapshot(index: usize, slot: &Slot, group: u64) -> Option<Chosen> {
    let serial = slot.serial.load(Acquire);
    let secret = slot.secret.load(Relaxed);
    let steady = slot.state() == State::Ready && slot.group.load(Relaxed) == group;
    (steady && slot.serial.load(Acquire) == serial).then_some(Chosen { index, serial, secret })
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

    /// The first pause between two looks, and the longest.
    const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

    /// Waits up to `limit` from now.
    pub fn new(now: Instant, limit: Duration) -> Self {
        Self { started: now, limit, hopeless: Duration::ZERO, last: now }
    }

    /// How long to sleep before the next look; `None` when it is time to give up.
    pub fn pause(&mut self, now: Instant, found: Now) -> Option<Duration> {
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

    fn slot(state: State) -> Slot {
        let slot = Slot::default();
        slot.occupy(GROUP, 5, 99);
        slot.set_state(state);
        slot
    }

    #[test]
    fn a_process_that_turned_the_request_away_is_left_out_until_it_is_another() {
        let slots = [slot(State::Ready), slot(State::Ready)];
        let found = |avoid: &[(usize, u32)]| match look(slots.iter(), GROUP, avoid) {
            Now::Process(chosen) => Some(chosen.index),
            _ => None,
        };
        assert_eq!(found(&[]), Some(0));
        assert_eq!(found(&[(0, 1)]), Some(1));
        assert_eq!(found(&[(0, 1), (1, 1)]), None);
        slots[0].occupy(GROUP, 5, 100);
        assert!(matches!(look(slots.iter(), GROUP, &[(0, 1), (1, 1)]), Now::Soon));
        slots[0].set_state(State::Ready);
        assert_eq!(found(&[(0, 1), (1, 1)]), Some(0));
    }

    #[test]
    fn a_group_without_processes_is_told_from_one_that_starts() {
        assert!(matches!(look([slot(State::Starting)].iter(), GROUP, &[]), Now::Soon));
        assert!(matches!(look([slot(State::Draining)].iter(), GROUP, &[]), Now::Nothing));
        assert!(matches!(look([slot(State::Ready)].iter(), 8, &[]), Now::Nothing));
    }

    #[test]
    fn patience_ends_with_the_limit_or_when_nothing_starts() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut patience = Patience::new(start, Duration::from_secs(15));
        assert_eq!(patience.pause(at(0), Now::Soon), Some(Duration::from_millis(1)));
        assert_eq!(patience.pause(at(10_000), Now::Soon), Some(Duration::from_millis(20)));
        assert_eq!(patience.pause(at(15_000), Now::Soon), None);
        let mut patience = Patience::new(start, Duration::from_secs(15));
        assert!(patience.pause(at(2_000), Now::Nothing).is_some());
        assert!(patience.pause(at(4_000), Now::Soon).is_some());
        assert!(patience.pause(at(4_900), Now::Nothing).is_some());
        assert!(patience.pause(at(5_100), Now::Nothing).is_none());
        let mut patience = Patience::new(start, Duration::ZERO);
        assert!(patience.pause(at(0), Now::Soon).is_none());
    }
}
