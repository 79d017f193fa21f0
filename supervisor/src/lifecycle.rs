//! The decision which process to start, drain, stop or kill next: a function of what is known and of the time.

use std::time::{Duration, Instant};

use wsgi_wire::control::Reason;

/// How long a process may exceed its own time limits before this supervisor steps in: an end of its own is better,
/// because the process then says more about it.
const GRACE: Duration = Duration::from_secs(1);

/// The time for "no limit" where a process has been told to end: a server must be able to stop.
const STOP_WAIT: Duration = Duration::from_secs(wsgi_wire::limits::STOP as u64);

/// How long a process takes to write down where its threads are.
const WRITING: Duration = Duration::from_millis(20);

/// How long the processes of a group that has been removed take requests: Apache's old children may still send some.
const LINGER: Duration = Duration::from_secs(2);

/// How many processes of a small group may be on their way out by their own word before no other is started: as many as
/// the group has, but at least this many.
const MOST_LEAVING: usize = 2;

/// How many graceful restarts of Apache may at a time have processes that go on with downloads and uploads: the slots
/// are everybody's.
const MOST_RESTARTS: usize = 8;

/// After this time a process that is not ready is worth a record: its requests wait, and nothing else would say so.
const SLOW_START: Duration = Duration::from_secs(30);

/// The phase of a process's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The process was spawned and is not ready.
    Starting {
        /// Whether there was a record that this takes long.
        reported: bool,
    },
    /// The process takes requests.
    Ready,
    /// The process finishes the requests that it has.
    Draining,
    /// The process was told by SIGTERM to stop.
    Stopping,
    /// The process writes down where its threads are, before it is killed.
    TakingStacks,
    /// The process was killed, and is about to disappear.
    Killed,
}

impl Phase {
    /// Whether the process is on its way out.
    pub fn is_leaving(self) -> bool {
        matches!(self, Self::Draining | Self::Stopping | Self::TakingStacks | Self::Killed)
    }
}

/// The time limits of a process, from the options of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// The time within which it must be ready.
    pub start: Option<Duration>,
    /// The time from the beginning of draining until it is stopped.
    pub drain: Duration,
    /// The time from SIGTERM until SIGKILL.
    pub stop: Duration,
}

impl TimeLimits {
    /// Makes the limits of `startup-timeout`, `graceful-timeout` or `eviction-timeout`, and `shutdown-timeout`, in
    /// seconds; 0 is "no limit".
    pub fn new(startup: u32, graceful: u32, shutdown: u32) -> Self {
        let seconds = |n: u32| Duration::from_secs(n.into());
        let stop = if shutdown == 0 { STOP_WAIT } else { seconds(shutdown) + GRACE };
        Self { start: (startup > 0).then(|| seconds(startup) + stop), drain: seconds(graceful) + stop, stop }
    }
}

/// The facts about a process that the decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process<'a> {
    /// Its slot in the process table.
    pub slot: usize,
    /// The name of the process's group.
    pub group: &'a [u8],
    /// The number of the configuration that it belongs to.
    pub generation: u32,
    /// Whether it only runs a script (`threads=0`) and never takes requests.
    pub service: bool,
    /// The phase of its life.
    pub phase: Phase,
    /// Since when the process is in this phase.
    pub since: Instant,
    /// Whether it is to be replaced although it belongs to the current configuration: it has asked for that, or its
    /// code is old.
    pub retiring: bool,
    /// Whether it takes no requests until its successor is ready.
    pub holds: bool,
    /// Whether, while it drains, it may take as long as its requests make progress, which it judges itself.
    pub patient: bool,
    /// Whether it has decided itself that it is to end.
    pub by_itself: bool,
    /// The time limits of the process.
    pub limits: TimeLimits,
}

/// The facts about a group of the current configuration that the decision needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'a> {
    /// The group's name.
    pub name: &'a [u8],
    /// How many processes it should have.
    pub processes: usize,
    /// Whether its processes only run a script; see [`Process::service`].
    pub service: bool,
    /// After failures: the moment before which no other process may start.
    pub not_before: Option<Instant>,
    /// After successors that could not take over: the moment before which no other successor may start.
    pub replace_not_before: Option<Instant>,
}

/// The state that the supervisor works towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal<'a> {
    /// Every group should have its processes, all of this configuration.
    Run {
        /// Number of the configuration.
        generation: u32,
        /// How many processes of a group may start at a time while requests wait for them: more would slow each other
        /// down.
        parallel: usize,
        /// When the configuration came into force.
        since: Instant,
        /// The groups of the configuration.
        groups: &'a [Group<'a>],
    },
    /// No process should be left.
    Stop,
}

/// One thing that the supervisor has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start a process of the group with this index.
    Start(usize),
    /// Tell the process in this slot to finish what it has.
    Drain(usize),
    /// Stop the process in this slot, by SIGTERM.
    Stop(usize, Cause),
    /// Have the process in this slot write down where its threads are, because it is about to be killed.
    TakeStacks(usize),
    /// End the process in this slot by force, by SIGKILL.
    Kill(usize),
    /// Record that the process in this slot takes long to become ready.
    ReportSlowStart(usize),
}

/// Whether a process that has loaded its scripts may take requests. One that could not load them all may not while
/// another one, which could, serves in its place. `working`: there is such a process.
pub fn admits(failed: bool, working: bool) -> bool {
    !(failed && working)
}

/// The cause for which a process is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The server stops, or a new configuration makes it superfluous.
    NotNeeded,
    /// The process was not ready in time.
    SlowStart,
    /// The process did not finish its requests in time.
    SlowDrain,
}

impl Cause {
    /// The same cause as a reason for the status page.
    pub fn reason(self) -> Reason {
        match self {
            Self::NotNeeded => Reason::ShutdownSignal,
            Self::SlowStart => Reason::StartupTimeout,
            Self::SlowDrain => Reason::GracefulSignal,
        }
    }
}

/// Decides what to do now, and when to look again if nothing happens until then.
pub fn decide(goal: Goal<'_>, processes: &[Process<'_>], now: Instant) -> (Vec<Action>, Option<Instant>) {
    let mut plan = Plan { now, actions: Vec::new(), wake: None };
    for process in processes {
        plan.advance(goal, process);
    }
    if let Goal::Run { generation, parallel, groups, .. } = goal {
        for (index, group) in groups.iter().enumerate() {
            plan.fill(index, group, generation, parallel, processes);
        }
    }
    (plan.actions, plan.wake)
}

/// What is to be done now, and when to look again, as one decision adds to it.
struct Plan {
    now: Instant,
    actions: Vec<Action>,
    wake: Option<Instant>,
}

impl Plan {
    /// Adds `action` if its time has come, else notes to look again then.
    fn at(&mut self, time: Instant, action: Action) {
        if time <= self.now {
            self.actions.push(action);
        } else {
            self.wake = Some(self.wake.map_or(time, |wake| wake.min(time)));
        }
    }

    /// Adds what the phase of one process and the time demand.
    fn advance(&mut self, goal: Goal<'_>, process: &Process<'_>) {
        let Process { slot, since, limits, .. } = *process;
        let (wanted, in_force) = match goal {
            Goal::Stop => (None, self.now),
            Goal::Run { generation, since, groups, .. } => {
                let of = groups.iter().find(|group| group.name == process.group);
                (of.map(|_| process.generation == generation), since)
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
            (Phase::Ready, None) => self.at(in_force + LINGER, Action::Drain(slot)),
            (Phase::Starting { reported }, Some(true)) if !process.service => {
                if !reported {
                    self.at(since + SLOW_START, Action::ReportSlowStart(slot));
                }
                if let Some(limit) = limits.start {
                    self.at(since + limit, Action::Stop(slot, Cause::SlowStart));
                }
            }
            (Phase::Draining, _) if !process.patient => {
                self.at(since + limits.drain, Action::Stop(slot, Cause::SlowDrain))
            }
            (Phase::Stopping, _) => self.at(since + limits.stop, Action::TakeStacks(slot)),
            (Phase::TakingStacks, _) => self.at(since + WRITING, Action::Kill(slot)),
            (Phase::Starting { .. } | Phase::Ready | Phase::Draining | Phase::Killed, _) => {}
        }
    }

    /// Starts the processes that a group lacks, replaces one process after the other, and drains those whose successors
    /// have taken over.
    fn fill(&mut self, index: usize, group: &Group<'_>, generation: u32, parallel: usize, processes: &[Process<'_>]) {
        let of_group = || processes.iter().filter(|process| process.group == group.name);
        // Two of one service at the same time could write over each other.
        if group.service && of_group().any(|process| process.generation != generation) {
            return;
        }
        let is_new = |process: &Process<'_>| process.generation == generation && !process.retiring;
        let new = || of_group().filter(|process| is_new(process));
        let ready = new().filter(|process| process.phase == Phase::Ready).count();
        let starting = new().filter(|process| matches!(process.phase, Phase::Starting { .. })).count();
        let mut old: Vec<_> = of_group()
            .filter(|process| process.phase == Phase::Ready && !is_new(process) && !process.service)
            .collect();
        old.sort_by_key(|process| (process.generation == generation, process.since));
        let (held, serving): (Vec<_>, Vec<_>) = old.into_iter().partition(|process| process.holds);

        let lacking = group.processes.saturating_sub(ready + starting);
        let vacant = lacking.saturating_sub(serving.len());
        let first = group.not_before.unwrap_or(self.now);
        let next = group.replace_not_before.unwrap_or(self.now).max(first);
        // Where nobody serves, a bad process is better than none.
        let vacant_at = if ready + serving.len() > 0 { next } else { first };
        let at_once = if held.is_empty() { vacant } else { vacant.min(parallel.saturating_sub(starting)) };
        // Those that leave by themselves take room: or else a process that says so as soon as it is there would have
        // ever more of them.
        let is_leaving = |process: &&Process<'_>| process.phase.is_leaving();
        let leaving = of_group().filter(is_leaving).filter(|process| process.by_itself).count();
        let present = ready + starting + serving.len() + held.len() + leaving;
        let room = (2 * group.processes).max(group.processes + MOST_LEAVING).saturating_sub(present);
        for _ in 0..at_once.min(room) {
            self.at(vacant_at, Action::Start(index));
        }
        if vacant == 0 && lacking > 0 && starting == 0 && room > 0 {
            self.at(next, Action::Start(index));
        }
        // Each graceful restart may leave some that go on as long as they say that there is progress.
        let mut patient: Vec<_> = of_group().filter(is_leaving).filter(|process| process.patient).collect();
        patient.sort_by_key(|process| process.since);
        let surplus = patient.len().saturating_sub(MOST_RESTARTS * group.processes);
        let stop = |process: &&Process<'_>| Action::Stop(process.slot, Cause::SlowDrain);
        self.actions.extend(patient[..surplus].iter().filter(|process| process.phase == Phase::Draining).map(stop));

        let superfluous = (ready + serving.len()).saturating_sub(group.processes).min(serving.len());
        let relieved = if ready > 0 { held.len() } else { 0 };
        let leaving: Vec<&Process<'_>> = [&serving[..superfluous], &held[..relieved]].concat();
        self.actions.extend(leaving.iter().map(|process| Action::Drain(process.slot)));
    }
}

#[cfg(test)]
mod tests;
