//! How long a request waits for a process, and whether it should go on. Pure: the moment is an argument.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

/// Why a request gets no process now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// All threads are taken.
    Threads,
    /// There is no process but one that is starting.
    Ready,
    /// The process takes no more connections: its `listen-backlog`.
    Backlog,
    /// There is no process at all.
    Process,
}

/// How long a request may wait for each thing that it needs.
#[derive(Debug, Clone, Copy)]
pub struct WaitLimits {
    /// `connect-timeout`: the sum of the times without a process that can be connected to. A process that loads its
    /// application has all the time that it is given otherwise: `startup-timeout` is about that.
    pub connect: Duration,
    /// `queue-timeout`: the time from the beginning to the moment when a thread takes the request.
    pub queue: Option<Duration>,
    /// `socket-timeout`: the longest time without a word from a process.
    pub silence: Duration,
}

/// The limit that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// `connect-timeout` has passed, or no process is about to start at all.
    Connect,
    /// `queue-timeout` has passed.
    Queue,
    /// `socket-timeout` has passed.
    Silence,
}

/// The wait of a request for a process.
#[derive(Debug)]
pub struct Wait {
    limits: WaitLimits,
    started: Instant,
    last: Instant,
    unconnected: Duration,
    hopeless: Duration,
}

impl Wait {
    /// The sum of the times, without a process that even starts, after which a request is given up: the interpreter
    /// does not start at all.
    const HOPELESS: Duration = Duration::from_secs(3);

    /// How long the table is believed on how busy processes are. After that only the processes themselves are: the
    /// table may count requests of children that died.
    const TRUST: Duration = Duration::from_secs(5);

    /// The first pause between two looks for a process, and the longest: a process that becomes ready wakes nobody.
    const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

    /// The longest pause between two looks of the request in the queue that watches for all.
    pub(super) const LOOK: Duration = Duration::from_millis(50);

    /// The longest pause of the other requests in the queue. They are called when it is their turn, in order, unless
    /// the one that watches has died with its Apache child.
    const TURN: Duration = Duration::from_secs(5);

    /// Begins the wait.
    pub fn new(now: Instant, limits: WaitLimits) -> Self {
        Self { limits, started: now, last: now, unconnected: Duration::ZERO, hopeless: Duration::ZERO }
    }

    /// Whether the table is believed when it says that a process is busy.
    pub fn is_trusting(&self) -> bool {
        self.last.saturating_duration_since(self.started) < Self::TRUST
    }

    /// How long the request has waited.
    pub fn waited(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// The moment by which a thread must have taken the request.
    pub fn queue_deadline(&self) -> Option<Instant> {
        Some(self.started + self.limits.queue?)
    }

    /// Returns how long to sleep before the next look. `watches`: this request is the one in the queue that looks for
    /// all.
    ///
    /// # Errors
    /// [`Expired`]: it is time to give up.
    pub fn pause(&mut self, now: Instant, missing: Missing, watches: bool) -> Result<Duration, Expired> {
        let since = now.saturating_duration_since(self.last);
        self.last = now;
        let connecting = matches!(missing, Missing::Process | Missing::Backlog);
        if connecting {
            self.unconnected += since;
        }
        if missing == Missing::Process {
            self.hopeless += since;
        }
        let waited = self.waited(now);
        let left = |limit: Duration| limit.checked_sub(waited).filter(|left| !left.is_zero());
        let mut left_of_all = left(self.limits.silence).ok_or(Expired::Silence);
        if let Some(queue) = self.limits.queue {
            let left = left(queue).ok_or(Expired::Queue)?;
            left_of_all = left_of_all.map(|silence| silence.min(left));
        }
        if connecting && self.unconnected >= self.limits.connect || self.hopeless >= Self::HOPELESS {
            return Err(Expired::Connect);
        }
        let (first, longest) = Self::PAUSES;
        let pause = match missing {
            Missing::Threads if watches => Self::LOOK,
            Missing::Threads => Self::TURN,
            _ => (waited / 4).clamp(first, longest),
        };
        Ok(pause.min(left_of_all?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wait(start: Instant, queue: Option<Duration>) -> Wait {
        Wait::new(start, WaitLimits { connect: SECOND * 15, queue, silence: SECOND * 60 })
    }

    #[test]
    fn waiting_for_a_connection_ends_with_connect_timeout() {
        let start = Instant::now();
        let mut wait = wait(start, None);
        assert_eq!(wait.pause(start, Missing::Backlog, true), Ok(Duration::from_millis(1)));
        assert!(wait.is_trusting());
        assert_eq!(wait.pause(start + SECOND * 10, Missing::Backlog, true), Ok(Duration::from_millis(20)));
        assert!(!wait.is_trusting());
        assert_eq!(wait.pause(start + SECOND * 15, Missing::Backlog, true), Err(Expired::Connect));
    }

    #[test]
    fn a_process_that_starts_is_waited_for_as_long_as_one_that_works() {
        let start = Instant::now();
        let mut wait = wait(start, None);
        assert!(wait.pause(start + SECOND * 59, Missing::Ready, true).is_ok());
        assert!(wait.pause(start + SECOND * 59, Missing::Process, true).is_ok(), "it is about to be replaced");
        assert_eq!(wait.pause(start + SECOND * 60, Missing::Ready, true), Err(Expired::Silence));
    }

    #[test]
    fn waiting_for_a_thread_does_not() {
        let start = Instant::now();
        let mut wait = wait(start, None);
        assert!(wait.pause(start + SECOND * 20, Missing::Threads, true).is_ok());
        assert!(wait.pause(start + SECOND * 30, Missing::Ready, true).is_ok());
        assert_eq!(wait.pause(start + SECOND * 60, Missing::Threads, true), Err(Expired::Silence));
    }

    #[test]
    fn only_the_last_in_the_queue_looks_often() {
        let start = Instant::now();
        let mut wait = wait(start, None);
        assert_eq!(wait.pause(start, Missing::Threads, true), Ok(Wait::LOOK));
        assert_eq!(wait.pause(start, Missing::Threads, false), Ok(Wait::TURN));
        assert!(wait.pause(start, Missing::Ready, false).is_ok_and(|pause| pause < Wait::LOOK));
    }

    #[test]
    fn queue_timeout_ends_any_wait_at_its_moment() {
        let start = Instant::now();
        let mut wait = wait(start, Some(SECOND));
        let just_before = start + Duration::from_millis(999);
        assert_eq!(wait.pause(just_before, Missing::Threads, true), Ok(Duration::from_millis(1)));
        assert_eq!(wait.pause(start + SECOND, Missing::Threads, true), Err(Expired::Queue));
        assert_eq!(wait.pause(start + SECOND, Missing::Ready, true), Err(Expired::Queue));
    }

    #[test]
    fn it_ends_early_when_nothing_even_starts() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut wait = wait(start, None);
        assert!(wait.pause(at(2_000), Missing::Process, true).is_ok());
        assert!(wait.pause(at(4_000), Missing::Ready, true).is_ok());
        assert!(wait.pause(at(4_900), Missing::Process, true).is_ok());
        assert_eq!(wait.pause(at(5_100), Missing::Process, true), Err(Expired::Connect));
    }
}
