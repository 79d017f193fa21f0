//! When a process or a request has had its time. Pure: the moment is an argument.

use std::time::{Duration, Instant};

use wsgi_wire::control::Reason;
use wsgi_wire::settings::Daemon;

/// The limits of one process; `None` is no limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Limits {
    /// `request-timeout`, adjusted to the number of threads: the fewer threads, the more a stuck one matters.
    pub(crate) request: Option<Duration>,
    /// `interrupt-timeout`
    pub(crate) interrupt: Option<Duration>,
    /// `startup-timeout`
    pub(crate) startup: Option<Duration>,
    /// `restart-interval`
    pub(crate) age: Option<Duration>,
    /// `deadlock-timeout`
    pub(crate) deadlock: Option<Duration>,
    /// `inactivity-timeout`
    pub(crate) inactivity: Option<Duration>,
}

fn limit(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// A number that is up to a tenth larger, so that processes that began together do not end together.
pub(crate) fn with_jitter(value: u64, seed: u64) -> u64 {
    // A multiplicative hash spreads seeds that lie close together (Knuth).
    let hash = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    value + hash % (value / 10 + 1)
}

impl Limits {
    /// What the settings say. `seed` differs from process to process.
    pub(crate) fn new(settings: &Daemon, seed: u64) -> Self {
        let scale = 1.0 + f64::from(settings.threads.max(1)).ln();
        let age = with_jitter(u64::from(settings.restart_interval) * 1000, seed);
        Self {
            request: limit(settings.request_timeout).map(|timeout| timeout.mul_f64(scale)),
            interrupt: limit(settings.interrupt_timeout),
            startup: limit(settings.startup_timeout),
            age: (age > 0).then_some(Duration::from_millis(age)),
            deadlock: limit(settings.deadlock_timeout),
            inactivity: limit(settings.inactivity_timeout),
        }
    }

    /// Whether there is anything to watch.
    pub(crate) fn any(&self) -> bool {
        [self.request, self.startup, self.age, self.deadlock, self.inactivity].iter().any(Option::is_some)
    }

    /// Whether a request has run for so long that nobody waits for it when the process ends.
    pub(crate) fn is_stale(&self, running: &Running, now: Instant) -> bool {
        self.request.is_some_and(|limit| now - running.since > limit + self.interrupt.unwrap_or_default())
    }
}

/// A request that is being executed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running {
    /// The worker's place.
    pub(crate) worker: usize,
    /// Since when.
    pub(crate) since: Instant,
    /// When it was interrupted, if it was.
    pub(crate) interrupted: Option<Instant>,
}

/// What there is to judge.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    /// When the process became ready.
    pub(crate) began: Instant,
    /// The requests that are being executed.
    pub(crate) running: &'a [Running],
    /// When the first request came, as long as no script has been loaded.
    pub(crate) unloaded_since: Option<Instant>,
    /// When the interpreter's lock was last known to be free.
    pub(crate) lock_free: Instant,
    /// When something last happened that counts; nothing counts before the first request.
    pub(crate) last_activity: Option<Instant>,
}

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Raise `RequestTimeout` in this worker.
    Interrupt(usize),
    /// Log where all requests are, then let the process drain.
    GiveUp,
    /// Let the process drain.
    Drain(Reason),
    /// End the process.
    Stop(Reason),
}

/// The most urgent thing to do now.
pub(crate) fn judge(limits: &Limits, facts: &Facts<'_>, now: Instant) -> Option<Action> {
    let over = |since: Instant, limit: Option<Duration>| limit.is_some_and(|limit| now - since > limit);
    if over(facts.lock_free, limits.deadlock) {
        return Some(Action::Stop(Reason::DeadlockTimeout));
    }
    for request in facts.running.iter().filter(|r| over(r.since, limits.request)) {
        match (limits.interrupt, request.interrupted) {
            (Some(_), None) => return Some(Action::Interrupt(request.worker)),
            (Some(grace), Some(at)) if now - at <= grace => {}
            _ => return Some(Action::GiveUp),
        }
    }
    if facts.unloaded_since.is_some_and(|since| over(since, limits.startup)) {
        return Some(Action::Stop(Reason::StartupTimeout));
    }
    if over(facts.began, limits.age) {
        return Some(Action::Drain(Reason::RestartInterval));
    }
    if facts.running.is_empty() && facts.last_activity.is_some_and(|last| over(last, limits.inactivity)) {
        return Some(Action::Drain(Reason::InactivityTimeout));
    }
    None
}

/// Whether a process of this user may connect. Where the system does not tell the user, the secret that follows decides alone.
pub(crate) fn may_connect(user: Option<u32>, users: &[u32]) -> bool {
    user.is_none_or(|user| users.contains(&user))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn facts(began: Instant, running: &[Running]) -> Facts<'_> {
        Facts { began, running, unloaded_since: None, lock_free: began, last_activity: None }
    }

    #[test]
    fn without_limits_nothing_ever_happens() {
        let began = Instant::now();
        let running = [Running { worker: 0, since: began, interrupted: None }];
        assert_eq!(judge(&Limits::default(), &facts(began, &running), began + SECOND * 100_000), None);
        assert!(!Limits::default().any());
    }

    #[test]
    fn a_stuck_request_is_interrupted_once_and_then_ends_the_process() {
        let began = Instant::now();
        let limits = Limits { request: Some(SECOND), interrupt: Some(SECOND * 5), ..Limits::default() };
        let mut running = [Running { worker: 3, since: began, interrupted: None }];
        assert_eq!(judge(&limits, &facts(began, &running), began + SECOND), None);
        assert_eq!(judge(&limits, &facts(began, &running), began + SECOND * 2), Some(Action::Interrupt(3)));
        running[0].interrupted = Some(began + SECOND * 2);
        assert_eq!(judge(&limits, &facts(began, &running), began + SECOND * 7), None);
        assert_eq!(judge(&limits, &facts(began, &running), began + SECOND * 8), Some(Action::GiveUp));
        let limits = Limits { interrupt: None, ..limits };
        running[0].interrupted = None;
        assert_eq!(judge(&limits, &facts(began, &running), began + SECOND * 2), Some(Action::GiveUp));
    }

    #[test]
    fn idleness_counts_from_the_last_activity_and_only_if_nothing_runs() {
        let began = Instant::now();
        let limits = Limits { inactivity: Some(SECOND), ..Limits::default() };
        let later = began + SECOND * 10;
        assert_eq!(judge(&limits, &facts(began, &[]), later), None);
        let active = Facts { last_activity: Some(began), ..facts(began, &[]) };
        assert_eq!(judge(&limits, &active, later), Some(Action::Drain(Reason::InactivityTimeout)));
        let running = [Running { worker: 0, since: began, interrupted: None }];
        assert_eq!(judge(&limits, &Facts { running: &running, ..active }, later), None);
    }

    #[test]
    fn age_startup_and_deadlock() {
        let began = Instant::now();
        let later = began + SECOND * 10;
        let age = Limits { age: Some(SECOND), ..Limits::default() };
        assert_eq!(judge(&age, &facts(began, &[]), later), Some(Action::Drain(Reason::RestartInterval)));
        let startup = Limits { startup: Some(SECOND), ..Limits::default() };
        let unloaded = Facts { unloaded_since: Some(began), ..facts(began, &[]) };
        assert_eq!(judge(&startup, &unloaded, later), Some(Action::Stop(Reason::StartupTimeout)));
        let deadlock = Limits { deadlock: Some(SECOND), ..Limits::default() };
        assert_eq!(judge(&deadlock, &facts(began, &[]), later), Some(Action::Stop(Reason::DeadlockTimeout)));
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
