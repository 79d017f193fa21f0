//! Executors: threads of ours that run requests of Apache's threads while these wait, so that many requests at a time
//! take the GIL once, and one processor has Python's data ([`Turns`]).

use std::ops::ControlFlow;
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

use wsgi_unix::scheduling;
use wsgi_wire::messages::internal;
use wsgi_wire::request::{self as wire, Body, Purpose};

use super::call::Call;
use super::transport::HostTransport;
use super::turns::{Entry, Taken, Turn, Turns, Waited};
use crate::ffi::{attach, guard};
use crate::interpreters::Interpreters;
use crate::log::record;
use crate::metrics::pace::{Pace, Patience};
use crate::process::{Process, thread};

/// How many executors there are: one runs requests, and another takes its place while it is held up by one of them.
const EXECUTORS: usize = 2;

/// How long an executor may keep the GIL from request to request; then application threads get their turn. CPython's
/// own switch interval is as long.
const HOLD: Duration = Duration::from_millis(5);

/// How long executors may take to leave.
const END_WAIT: Duration = Duration::from_secs(1);

/// A request that waits for an executor, with its message.
struct Job {
    call: Call,
    request: Vec<u8>,
}

/// A job, and who waits for it.
type Next = (Job, Taken<Job, Answer>);

/// What becomes of a request: what is left to send, if there is an answer.
type Answer = Option<HostTransport>;

static TURNS: OnceLock<Turns<Job, Answer>> = OnceLock::new();

fn turns() -> &'static Turns<Job, Answer> {
    TURNS.get_or_init(Turns::new)
}

/// Whether the executors have been started.
static STARTED: Once = Once::new();

/// How requests of this child run lately.
static PACE: Pace = Pace::new();

/// Whether a request may run on another thread than its own, and others may wait for it: where its client cannot hold
/// it up, it does not use Apache's own record, which modules of Apache may expect on its thread, and no other GIL would
/// let requests run at the same time.
pub(super) fn may_wait(call: &Call, request: &wire::Request<'_>) -> bool {
    let is_whole = matches!(request.purpose, Purpose::Response(Body::None | Body::Inline(_)) | Purpose::Question(_));
    is_whole && call.host.request_rec().is_none() && !Interpreters::get().run_in_parallel()
}

/// Has a request executed, on this thread or by an executor. What is left to send comes back.
pub(super) fn serve(call: Call, decoded: wire::Request<'_>, request: &[u8]) -> Answer {
    if PACE.patience().is_none() {
        return beside(call, decoded);
    }
    match turns().enter() {
        Entry::Turn(turn) => in_turn(&turn, call, decoded),
        Entry::Queue(queue) => match queue.wait(Job { call, request: request.to_vec() }) {
            Waited::Answered(answer) => answer,
            Waited::Turn(turn, Job { call, .. }) => in_turn(&turn, call, decoded),
            Waited::Beside(Job { call, .. }) => beside(call, decoded),
        },
        Entry::Beside => {
            start();
            beside(call, decoded)
        }
    }
}

/// Executes a request on this thread, which has the turn.
fn in_turn(turn: &Turn<'_, Job, Answer>, call: Call, request: wire::Request<'_>) -> Answer {
    attach::with(call.interpreter.handle, |py| {
        turn.runs(PACE.patience().unwrap_or(Patience::Quick));
        timed(|| call.execute(py, request))
    })
}

/// Executes a request beside that of the turn.
fn beside(call: Call, request: wire::Request<'_>) -> Answer {
    attach::with(call.interpreter.handle, |py| timed(|| call.execute(py, request)))
}

fn timed<R>(body: impl FnOnce() -> R) -> R {
    let run = PACE.begins(Instant::now());
    let result = body();
    PACE.ended(&run, Instant::now());
    result
}

/// Starts executors and watch, once: when the first request finds another one running.
fn start() {
    STARTED.call_once(|| {
        let executor = || {
            scheduling::be_as_the_process();
            turns().join();
            guard::repeat("an executor", turn);
            attach::release();
        };
        let watch = || {
            let mut idle = 0;
            scheduling::be_as_the_process();
            turns().join_watch();
            guard::repeat("the watch over executors", || match turns().look(&mut idle) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            });
        };
        let stack = Process::get().settings.stack_size;
        let executors = (0..EXECUTORS).map(|_| thread::builder("executor", stack).spawn(executor));
        let started: Result<Vec<_>, _> = executors.chain([thread::builder("watch", 0).spawn(watch)]).collect();
        if let Err(error) = started {
            let text = format!("requests of this child run on the threads of Apache alone, which is slower: there can be no thread for them ({error})");
            record::process(&internal::NO_EXECUTOR, &text);
        }
    });
}

/// Waits for a turn and serves those that wait.
fn turn() -> ControlFlow<()> {
    let Some(turn) = turns().wait() else { return ControlFlow::Break(()) };
    let mut next = turn.next();
    while let Some(job) = next {
        next = run(&turn, job);
    }
    ControlFlow::Continue(())
}

/// Serves a request, and those behind it that run in the same interpreter. Returns the next one that does not, or has
/// to wait until others have had the GIL.
fn run(turn: &Turn<'_, Job, Answer>, (job, taken): Next) -> Option<Next> {
    let interpreter = job.call.interpreter;
    attach::with(interpreter.handle, |py| {
        let (start, mut job, mut taken) = (Instant::now(), job, taken);
        loop {
            turn.runs(PACE.patience().unwrap_or(Patience::Quick));
            let Job { call, request } = job;
            // A panic costs this request only.
            taken.answer = guard::catch("a request", || {
                let request = wire::Request::decode(&request).ok()?;
                timed(|| call.execute(py, request))
            })
            .flatten();
            drop(taken);
            (job, taken) = turn.next()?;
            if !std::ptr::eq(job.call.interpreter, interpreter) || start.elapsed() > HOLD {
                return Some((job, taken));
            }
        }
    })
}

/// Ends the executors, if there are any: no request runs any more. With the MPM prefork, which never has any, a request
/// may have been interrupted anywhere.
pub(super) fn end() {
    if STARTED.is_completed() {
        turns().close(END_WAIT);
    }
}
