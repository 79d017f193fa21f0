//! The activity of each worker, for the monitor.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use crate::ffi::attach::State;
use crate::interpreter::Interpreter;
use crate::process::limits::Phase;
use crate::request::route::Route;
use crate::workers::response_right::ResponseRight;

static ACTIVITIES: OnceLock<Vec<Activity>> = OnceLock::new();

/// Makes room for the activities of this many workers; once, before they start.
pub(crate) fn prepare(workers: u32) {
    ACTIVITIES.get_or_init(|| (0..workers).map(|_| Activity::default()).collect());
}

/// The activities of the workers, by number, counted from 0.
pub(crate) fn all() -> &'static [Activity] {
    ACTIVITIES.get().map_or(&[], Vec::as_slice)
}

/// The activity of a worker, for the monitor.
pub(crate) struct Activity<P = Execution> {
    busy: Mutex<Option<Busy<P>>>,
}

impl<P> Default for Activity<P> {
    fn default() -> Self {
        Self { busy: Mutex::new(None) }
    }
}

/// A request that a worker has in hand.
#[derive(Clone)]
pub(crate) struct Busy<P = Execution> {
    /// When the worker took it: no other request of this worker has the same moment.
    pub(crate) since: Instant,
    /// The phase that the request is in.
    pub(crate) phase: Phase,
    /// The right to answer the request. It is the connection's, and so that of its next request as well.
    pub(crate) right: Arc<ResponseRight>,
    /// The thread and the interpreter that execute it.
    pub(crate) execution: P,
}

/// The thread and the interpreter that a request is executed in.
#[derive(Clone)]
pub(crate) struct Execution {
    /// The interpreter that the request runs in.
    pub(crate) interpreter: &'static Interpreter,
    /// The number that Python gives to the thread.
    pub(crate) thread: u64,
    /// The state by which the thread is attached there.
    pub(crate) state: State,
    /// The request's route, for the log.
    pub(crate) route: Arc<Route>,
}

impl<P> Activity<P> {
    /// The request, if there is one. The worker does not get on to another one while this is locked.
    pub(crate) fn busy(&self) -> MutexGuard<'_, Option<Busy<P>>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the phase of the request that was taken at `since`, and calls `then` with it: while the activity is
    /// locked, because the right to answer is that of the connection's next request soon after. Returns `false`, and
    /// does nothing, if the worker has another request by now, or none.
    pub(crate) fn change(&self, since: Instant, phase: Phase, then: impl FnOnce(&Busy<P>)) -> bool {
        let mut busy = self.busy();
        let Some(busy) = busy.as_mut().filter(|busy| busy.since == since) else { return false };
        then(busy);
        busy.phase = phase;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_has_run_out_of_time_is_answered_and_not_the_next_request_of_the_connection() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let right = Arc::new(ResponseRight::new(OwnedFd::from(ours).into()));
        let activity = Activity::default();
        let [late, next] = [Instant::now(), Instant::now() + Duration::from_nanos(1)];
        let takes = |since| {
            *activity.busy() = Some(Busy { since, phase: Phase::Executing, right: Arc::clone(&right), execution: () });
        };
        let give_up = |since| {
            activity.change(since, Phase::GivenUp, |busy| {
                // Only as long as it is locked is this request the one that the right is for.
                assert!(activity.busy.try_lock().is_err());
                busy.right.fail(504);
            })
        };
        takes(late);
        // The monitor has judged; the worker then gets on to the next request.
        takes(next);
        assert!(!give_up(late));
        assert!(
            theirs.read(&mut [0]).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock),
            "nothing is answered"
        );
        assert!(give_up(next));
        assert!(theirs.read(&mut [0]).is_ok_and(|read| read == 1));
    }
}
