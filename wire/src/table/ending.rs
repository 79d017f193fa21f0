//! The ends of processes, counted for each group by their causes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::codec::byte_enum;
use crate::control::Reason;

byte_enum! {
    /// An end of a process that is a failure.
    pub enum Failure {
        /// The process got a signal that nobody sent on purpose, such as SIGSEGV, or ended with an exit code.
        Crash = 0,
        /// The system or its control group had no memory left and killed the process.
        OutOfMemory = 1,
        /// The process ended before it was ready.
        FailedAtStart = 2,
        /// The process was killed: by the supervisor, because it did not stop in time, or by somebody else.
        Killed = 3,
    }
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The process was told to end, or said that it would.
    Orderly(Reason),
    /// The process ended otherwise than it should.
    Failed(Failure),
}

/// How many variants there is room for: more than there are, so that more can be added without moving what follows in
/// the table.
const REASONS: usize = 32;
const FAILURES: usize = 8;

/// How many processes have ended for each cause. All zero: none has.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Endings {
    orderly: [AtomicU64; REASONS],
    failed: [AtomicU64; FAILURES],
}

impl Failure {
    /// The word of the status for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::OutOfMemory => "out_of_memory",
            Self::FailedAtStart => "failed_at_start",
            Self::Killed => "killed",
        }
    }
}

impl Ending {
    /// All ends, in the order in which the status shows them.
    pub fn all() -> impl Iterator<Item = Self> {
        let orderly = (0..REASONS).filter_map(|n| Some(Self::Orderly(Reason::try_from(u8::try_from(n).ok()?).ok()?)));
        let failed = (0..FAILURES).filter_map(|n| Some(Self::Failed(Failure::try_from(u8::try_from(n).ok()?).ok()?)));
        orderly.chain(failed)
    }

    /// The word of the status for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Orderly(reason) => reason.name(),
            Self::Failed(failure) => failure.name(),
        }
    }
}

impl Endings {
    fn counter(&self, ending: Ending) -> Option<&AtomicU64> {
        match ending {
            Ending::Orderly(reason) => self.orderly.get(reason as usize),
            Ending::Failed(failure) => self.failed.get(failure as usize),
        }
    }

    /// Counts a process that has ended in this way.
    pub fn add(&self, ending: Ending) {
        if let Some(counter) = self.counter(ending) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// How many processes have ended in this way.
    pub fn count(&self, ending: Ending) -> u64 {
        self.counter(ending).map_or(0, |counter| counter.load(Relaxed))
    }

    pub(super) fn clear(&self) {
        self.orderly.iter().chain(&self.failed).for_each(|counter| counter.store(0, Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ending_has_a_counter_and_a_name_of_its_own() {
        let endings = Endings::default();
        let mut names = std::collections::HashSet::new();
        for ending in Ending::all() {
            assert_eq!(endings.count(ending), 0, "{}", ending.name());
            endings.add(ending);
            assert_eq!(endings.count(ending), 1, "{}", ending.name());
            assert!(names.insert(ending.name()));
        }
        assert!(names.contains("shutdown_signal") && names.contains("crash"));
        endings.clear();
        assert!(Ending::all().all(|ending| endings.count(ending) == 0));
    }
}
