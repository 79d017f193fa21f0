//! The rules by which a process or a request has exceeded a limit. Pure: the moment is an argument.

use std::time::{Duration, Instant};

use wsgi_wire::control::Reason;
use wsgi_wire::settings::Daemon;

/// The limits of one process; `None` is no limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProcessLimits {
    /// The limit `request-timeout`; with `request-timeout-scaling` it is the longer the more threads there are: one
    /// that is stuck matters less then.
    pub(crate) request: Option<Duration>,
    /// The limit `interrupt-timeout`.
    pub(crate) interrupt: Option<Duration>,
    /// The limit `startup-timeout`.
    pub(crate) startup: Option<Duration>,
    /// The limit `restart-interval`.
    pub(crate) age: Option<Duration>,
    /// The limit `deadlock-timeout`.
    pub(crate) deadlock: Option<Duration>,
    /// The limit `inactivity-timeout`.
    pub(crate) inactivity: Option<Duration>,
    /// The limit `rss-limit`, bytes.
    pub(crate) memory: Option<u64>,
}

fn limit(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Returns a number that is up to a tenth larger, so that processes that began together do not end together.
pub(crate) fn with_jitter(value: u64, seed: u64) -> u64 {
    // A multiplicative hash spreads seeds that lie close together (Knuth).
    let hash = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    value + hash % (value / 10 + 1)
}

impl ProcessLimits {
    /// The limits that the settings give. `seed` differs from process to process.
    pub(crate) fn new(settings: &Daemon, seed: u64) -> Self {
        let scale = if settings.request_timeout_scaling { 1.0 + f64::from(settings.threads.max(1)).ln() } else { 1.0 };
        let age = with_jitter(u64::from(settings.restart_interval) * 1000, seed);
        Self {
            request: limit(settings.request_timeout).map(|timeout| timeout.mul_f64(scale)),
            interrupt: limit(settings.interrupt_timeout),
            startup: limit(settings.startup_timeout),
            age: (age > 0).then_some(Duration::from_millis(age)),
            deadlock: limit(settings.deadlock_timeout),
            inactivity: limit(settings.inactivity_timeout),
            memory: (settings.rss_limit > 0).then_some(settings.rss_limit),
        }
    }
}

/// A request that a worker has in hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    /// The number of its worker, counted from 0.
    pub(crate) worker: usize,
    /// When the request started.
    pub(crate) since: Instant,
    /// The phase that the request is in.
    pub(crate) phase: Phase,
}

/// The phase of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The worker of the request waits for the GIL.
    Waiting,
    /// The application executes the request.
    Executing,
    /// `RequestTimeout` was raised in the application.
    Interrupted(Instant),
    /// The request has exceeded its limit. Nobody waits for it any more.
    GivenUp,
}

/// The facts about a process that its limits are applied to.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    /// When the process became ready.
    pub(crate) began: Instant,
    /// Whether the process is on its way out already, or has asked for a successor: then only its requests matter.
    pub(crate) leaving: bool,
    /// The requests that workers have in hand.
    pub(crate) running: &'a [Running],
    /// When the first request came, as long as no script has been loaded.
    pub(crate) unloaded_since: Option<Instant>,
    /// When the GIL was last known to be free; `None` while nobody needs it.
    pub(crate) gil_free: Option<Instant>,
    /// When the event loop was last known to go round; `None` without one, or while nobody needs it.
    pub(crate) loop_round: Option<Instant>,
    /// When something happened last that counts as activity; nothing counts before the first request.
    pub(crate) last_activity: Option<Instant>,
    /// Bytes of memory that the process has resident, where that was looked at.
    pub(crate) memory: u64,
}

/// An action that a limit demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Raise `RequestTimeout` in this worker, for the request that it took at this moment.
    Interrupt(usize, Instant),
    /// Answer the request that this worker took at this moment in its place, log where it is, then let the process
    /// drain.
    GiveUp(usize, Instant),
    /// Find a successor for the process.
    Retire(Reason),
    /// Let the process drain.
    Drain(Reason),
    /// End the process at once.
    Stop(Reason),
}

/// The most urgent thing to do now, and when the next one may be due if nothing happens until then.
pub(crate) fn judge(limits: &ProcessLimits, facts: &Facts<'_>, now: Instant) -> (Option<Action>, Option<Instant>) {
    let mut due = Due { now, action: None, next: None };
    due.add(facts.gil_free, limits.deadlock, Action::Stop(Reason::DeadlockTimeout));
    due.add(facts.loop_round, limits.deadlock, Action::Stop(Reason::StuckLoop));
    for request in facts.running {
        let Running { worker, since, phase } = *request;
        match phase {
            Phase::Waiting | Phase::GivenUp => {}
            Phase::Executing if limits.interrupt.is_some() => {
                due.add(Some(since), limits.request, Action::Interrupt(worker, since));
            }
            Phase::Executing => due.add(Some(since), limits.request, Action::GiveUp(worker, since)),
            Phase::Interrupted(at) => due.add(Some(at), limits.interrupt, Action::GiveUp(worker, since)),
        }
    }
    due.add(facts.unloaded_since, limits.startup, Action::Stop(Reason::StartupTimeout));
    if !facts.leaving {
        due.add(Some(facts.began), limits.age, Action::Retire(Reason::RestartInterval));
        if facts.running.is_empty() {
            due.add(facts.last_activity, limits.inactivity, Action::Drain(Reason::InactivityTimeout));
        }
        if limits.memory.is_some_and(|limit| facts.memory > limit) {
            due.action = due.action.or(Some(Action::Retire(Reason::RssLimit)));
        }
    }
    (due.action, due.next)
}

/// The first action that is found to be due, and the moment when another one may be.
struct Due {
    now: Instant,
    action: Option<Action>,
    next: Option<Instant>,
}

impl Due {
    fn add(&mut self, since: Option<Instant>, limit: Option<Duration>, action: Action) {
        let (Some(since), Some(limit)) = (since, limit) else { return };
        let at = since + limit;
        if at <= self.now {
            self.action = self.action.or(Some(action));
        } else {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }
}

/// Whether a process of this user may connect. Where the system does not tell the user, the secret that follows decides
/// alone.
pub(crate) fn may_connect(user: Option<u32>, users: &[u32]) -> bool {
    user.is_none_or(|user| users.contains(&user))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn facts(began: Instant, running: &[Running]) -> Facts<'_> {
        Facts {
            began,
            leaving: false,
            running,
            unloaded_since: None,
            gil_free: Some(began),
            loop_round: None,
            last_activity: None,
            memory: 0,
        }
    }

    fn running(since: Instant, phase: Phase) -> [Running; 1] {
        [Running { worker: 3, since, phase }]
    }

    #[test]
    fn without_limits_nothing_ever_happens() {
        let began = Instant::now();
        let running = running(began, Phase::Executing);
        assert_eq!(judge(&ProcessLimits::default(), &facts(began, &running), began + SECOND * 100_000), (None, None));
    }

    #[test]
    fn a_stuck_request_is_interrupted_once_and_then_given_up_each_at_its_moment() {
        let began = Instant::now();
        let at = |seconds| began + SECOND * seconds;
        let limits = ProcessLimits { request: Some(SECOND), interrupt: Some(SECOND * 5), ..ProcessLimits::default() };
        let judge = |limits: &ProcessLimits, phase, now| judge(limits, &facts(began, &running(began, phase)), now);
        assert_eq!(judge(&limits, Phase::Executing, at(0)), (None, Some(at(1))));
        assert_eq!(judge(&limits, Phase::Executing, at(1)), (Some(Action::Interrupt(3, began)), None));
        assert_eq!(judge(&limits, Phase::Interrupted(at(1)), at(2)), (None, Some(at(6))));
        assert_eq!(judge(&limits, Phase::Interrupted(at(1)), at(6)), (Some(Action::GiveUp(3, began)), None));
        assert_eq!(judge(&limits, Phase::GivenUp, at(9)), (None, None));
        assert_eq!(judge(&limits, Phase::Waiting, at(9)), (None, None), "the request has not begun");
        let limits = ProcessLimits { interrupt: None, ..limits };
        assert_eq!(judge(&limits, Phase::Executing, at(2)), (Some(Action::GiveUp(3, began)), None));
    }

    #[test]
    fn idleness_counts_from_the_last_activity_and_only_if_nothing_runs() {
        let began = Instant::now();
        let limits = ProcessLimits { inactivity: Some(SECOND), ..ProcessLimits::default() };
        let later = began + SECOND * 10;
        assert_eq!(judge(&limits, &facts(began, &[]), later), (None, None));
        let active = Facts { last_activity: Some(began), ..facts(began, &[]) };
        assert_eq!(judge(&limits, &active, later).0, Some(Action::Drain(Reason::InactivityTimeout)));
        assert_eq!(judge(&limits, &active, began).1, Some(began + SECOND));
        let running = running(began, Phase::Executing);
        assert_eq!(judge(&limits, &Facts { running: &running, ..active }, later), (None, None));
    }

    #[test]
    fn age_memory_startup_and_deadlock() {
        let began = Instant::now();
        let later = began + SECOND * 10;
        let judge = |limits: ProcessLimits, facts: &Facts<'_>| judge(&limits, facts, later).0;
        let quiet = facts(began, &[]);
        let age = || ProcessLimits { age: Some(SECOND), memory: Some(5), ..ProcessLimits::default() };
        assert_eq!(judge(age(), &quiet), Some(Action::Retire(Reason::RestartInterval)));
        assert_eq!(judge(age(), &Facts { leaving: true, memory: 9, ..quiet.clone() }), None);
        let memory = || ProcessLimits { memory: Some(5), ..ProcessLimits::default() };
        assert_eq!(judge(memory(), &Facts { memory: 6, ..quiet.clone() }), Some(Action::Retire(Reason::RssLimit)));
        assert_eq!(judge(memory(), &Facts { memory: 5, ..quiet.clone() }), None);
        let startup = ProcessLimits { startup: Some(SECOND), ..ProcessLimits::default() };
        let unloaded = Facts { unloaded_since: Some(began), ..quiet.clone() };
        assert_eq!(judge(startup, &unloaded), Some(Action::Stop(Reason::StartupTimeout)));
        let deadlock = || ProcessLimits { deadlock: Some(SECOND), ..ProcessLimits::default() };
        assert_eq!(judge(deadlock(), &quiet), Some(Action::Stop(Reason::DeadlockTimeout)));
        assert_eq!(judge(deadlock(), &Facts { gil_free: None, ..quiet.clone() }), None, "nobody needs the lock");
        let stuck = Facts { gil_free: Some(later), loop_round: Some(began), ..quiet };
        assert_eq!(judge(deadlock(), &stuck), Some(Action::Stop(Reason::StuckLoop)));
    }

    #[test]
    fn jitter_only_adds_up_to_a_tenth() {
        for seed in 0..1000 {
            assert!((1000..=1100).contains(&with_jitter(1000, seed)));
            assert_eq!(with_jitter(1, seed), 1);
            assert_eq!(with_jitter(0, seed), 0);
        }
    }

    #[test]
    fn only_the_users_of_apache_children_may_connect() {
        assert!(may_connect(Some(33), &[0, 33]) && may_connect(None, &[0, 33]));
        assert!(!may_connect(Some(1000), &[0, 33]));
    }
}
