//! Which process to start, drain, stop or kill next: a function of what is known and of the time.

use std::time::{Duration, Instant};

use wsgi_wire::control::Reason;

/// How long past its own time limits a process may take before this supervisor steps in: its own end is better, it says more.
const GRACE: Duration = Duration::from_secs(1);

/// Stands for "no limit" where a process has been told to end: a server must be able to stop.
const PATIENCE: Duration = Duration::from_secs(wsgi_wire::limits::STOP as u64);

/// A process that is not ready after this time is worth a record: its requests wait, and nothing else would say so.
const SLOW_START: Duration = Duration::from_secs(30);

/// Where a process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Spawned, not ready.
    Starting {
        /// Whether there was a record that this takes long.
        reported: bool,
    },
    /// Takes requests.
    Ready,
    /// Finishes what it has.
    Draining,
    /// Was told by SIGTERM to stop.
    Stopping,
    /// Was killed, and is about to disappear.
    Killed,
}

/// The time limits of a process, from the options of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Until it must be ready.
    pub start: Option<Duration>,
    /// From the beginning of draining until it is stopped.
    pub drain: Duration,
    /// From SIGTERM until SIGKILL.
    pub stop: Duration,
}

impl Limits {
    /// From `startup-timeout`, `graceful-timeout` or `eviction-timeout`, and `shutdown-timeout`, in seconds; 0 is "no limit".
    pub fn new(startup: u32, graceful: u32, shutdown: u32) -> Self {
        let seconds = |n: u32| Duration::from_secs(n.into());
        let stop = if shutdown == 0 { PATIENCE } else { seconds(shutdown) + GRACE };
        Self { start: (startup > 0).then(|| seconds(startup) + stop), drain: seconds(graceful) + stop, stop }
    }
}

/// What matters of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process<'a> {
    /// Its slot in the process table.
    pub slot: usize,
    /// Its group.
    pub group: &'a [u8],
    /// The configuration it belongs to.
    pub generation: u32,
    /// Whether it only runs a script (`threads=0`) and never takes requests.
    pub service: bool,
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when.
    pub since: Instant,
    /// Its time limits.
    pub limits: Limits,
}

/// What matters of a group of the current configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// How many processes it should have.
    pub processes: usize,
    /// See [`Process::service`].
    pub service: bool,
    /// After failures: when the next process may start.
    pub not_before: Option<Instant>,
}

/// What should be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal<'a> {
    /// Every group has its processes, all of this configuration.
    Run {
        /// Number of the configuration.
        generation: u32,
        /// Its groups.
        groups: &'a [Group<'a>],
    },
    /// No process is left.
    Stop,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start a process of the group with this index.
    Start(usize),
    /// Tell the process in this slot to finish what it has.
    Drain(usize),
    /// Stop it: SIGTERM.
    Stop(usize, Cause),
    /// End it: SIGKILL.
    Kill(usize),
    /// Record that it takes long to become ready.
    ReportSlowStart(usize),
}

/// Why a process is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The server stops, or a new configuration makes it superfluous.
    NotNeeded,
    /// It was not ready in time.
    SlowStart,
    /// It did not finish its requests in time.
    SlowDrain,
}

impl Cause {
    /// The same for the status page.
    pub fn reason(self) -> Reason {
        match self {
            Self::NotNeeded => Reason::ShutdownSignal,
            Self::SlowStart => Reason::StartupTimeout,
            Self::SlowDrain => Reason::GracefulSignal,
        }
    }
}

/// What to do now, and when to look again if nothing happens until then.
pub fn decide(goal: Goal<'_>, processes: &[Process<'_>], now: Instant) -> (Vec<Action>, Option<Instant>) {
    let mut plan = Plan { now, actions: Vec::new(), wake: None };
    for process in processes {
        plan.advance(goal, process);
    }
    if let Goal::Run { generation, groups } = goal {
        for (index, group) in groups.iter().enumerate() {
            plan.fill(index, group, generation, processes);
        }
    }
    (plan.actions, plan.wake)
}

struct Plan {
    now: Instant,
    actions: Vec<Action>,
    wake: Option<Instant>,
}

impl Plan {
    /// Does `action` if its time has come, else remembers to look again then.
    fn at(&mut self, time: Instant, action: Action) {
        if time <= self.now {
            self.actions.push(action);
        } else {
            self.wake = Some(self.wake.map_or(time, |wake| wake.min(time)));
        }
    }

    /// What the phase of one process and the time demand.
    fn advance(&mut self, goal: Goal<'_>, process: &Process<'_>) {
        let Process { slot, since, limits, .. } = *process;
        let wanted = match goal {
            Goal::Stop => None,
            Goal::Run { generation, groups } => {
                groups.iter().find(|group| group.name == process.group).map(|_| process.generation == generation)
            }
        };
        match (process.phase, wanted) {
            (Phase::Starting { .. } | Phase::Ready | Phase::Draining, _) if goal == Goal::Stop => {
                self.actions.push(Action::Stop(slot, Cause::NotNeeded));
            }
            // It serves nobody yet, or never will.
            (Phase::Starting { .. }, None | Some(false)) => self.actions.push(Action::Stop(slot, Cause::NotNeeded)),
            (Phase::Ready, None | Some(false)) if process.service => {
                self.actions.push(Action::Stop(slot, Cause::NotNeeded));
            }
            // Its group is no more. One whose group goes on waits for its successor: see `fill`.
            (Phase::Ready, None) => self.actions.push(Action::Drain(slot)),
            (Phase::Starting { reported }, Some(true)) if !process.service => {
                if !reported {
                    self.at(since + SLOW_START, Action::ReportSlowStart(slot));
                }
                if let Some(limit) = limits.start {
                    self.at(since + limit, Action::Stop(slot, Cause::SlowStart));
                }
            }
            (Phase::Draining, _) => self.at(since + limits.drain, Action::Stop(slot, Cause::SlowDrain)),
            (Phase::Stopping, _) => self.at(since + limits.stop, Action::Kill(slot)),
            (Phase::Starting { .. } | Phase::Ready | Phase::Killed, _) => {}
        }
    }

    /// Starts what a group lacks, and drains processes of an earlier configuration as far as new ones have taken over.
    fn fill(&mut self, index: usize, group: &Group<'_>, generation: u32, processes: &[Process<'_>]) {
        let of_group = || processes.iter().filter(|process| process.group == group.name);
        let current = || of_group().filter(|process| process.generation == generation);
        let ready = current().filter(|process| process.phase == Phase::Ready).count();
        let live = ready + current().filter(|process| matches!(process.phase, Phase::Starting { .. })).count();

        let old = || of_group().filter(|process| process.generation != generation);
        // Two of one service at the same time could write over each other.
        if group.service && old().next().is_some() {
            return;
        }
        for _ in live..group.processes {
            self.at(group.not_before.unwrap_or(self.now), Action::Start(index));
        }
        let mut serving: Vec<_> = old().filter(|process| process.phase == Phase::Ready && !process.service).collect();
        serving.sort_by_key(|process| process.since);
        let still_needed = group.processes.saturating_sub(ready);
        let replaced = serving.len().saturating_sub(still_needed);
        self.actions.extend(serving[..replaced].iter().map(|process| Action::Drain(process.slot)));
    }
}

#[cfg(test)]
mod tests;
