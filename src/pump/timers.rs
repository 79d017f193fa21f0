//! When each member of the pump has something to do in any case.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The timers of members, by number. A member has many only if each is earlier than those before: what comes too early
/// is cheaper than what has to be found and moved.
#[derive(Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Timers {
    /// Sets a timer, unless one is set for that moment or before. `set`: the one that is.
    pub fn set(&mut self, set: &mut Option<Instant>, wanted: Option<Instant>, member: usize) {
        if let Some(at) = wanted.filter(|at| set.is_none_or(|set| *at < set)) {
            *set = Some(at);
            self.heap.push(Reverse((at, member)));
        }
    }

    /// The moment of the next one.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes one that is due, and the moment for which it was set.
    pub fn take_due(&mut self, now: Instant) -> Option<(Instant, usize)> {
        self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.heap.pop().map(|Reverse(timer)| timer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_come_in_order_and_a_later_one_takes_no_room() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let at = |seconds| Some(now + Duration::from_secs(seconds));
        let (mut first, mut second) = (None, None);
        timers.set(&mut first, at(5), 1);
        timers.set(&mut first, at(9), 1);
        timers.set(&mut second, at(2), 2);
        timers.set(&mut second, None, 2);
        timers.set(&mut first, at(1), 1);
        assert_eq!(timers.heap.len(), 3);
        assert_eq!((timers.next(), timers.take_due(now)), (at(1), None));
        let end = now + Duration::from_secs(60);
        let due: Vec<_> = std::iter::from_fn(|| timers.take_due(end)).map(|(_, member)| member).collect();
        assert_eq!(due, [1, 2, 1]);
    }
}
