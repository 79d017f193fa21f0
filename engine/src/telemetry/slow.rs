//! Requests that take longer than `WSGISlowRequests`: one record in the log for each, with the Python stack while it is
//! executed, and reports of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use wsgi_wire::messages::applications;
use wsgi_wire::record::LogRecord;
use wsgi_wire::report::RequestName;

use super::Telemetry;
use super::datagram::{Datagram, Kind};
use crate::ffi::attach::State;
use crate::interpreter::Interpreter;
use crate::log::record;
use crate::metrics::sample::Finished;
use crate::moments::{Moments, now};

/// How many requests that are over may wait for the next report.
const WAITING: usize = 4096;
/// How many requests that are still executed one report has at the most.
const ACTIVE: usize = 16;

/// The longest method that a report has, bytes; the other lengths follow.
const METHOD: usize = 32;
const HOST: usize = 256;
const PATH: usize = 512;

/// The facts about a request that are reported: never its query string.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Apache's log id.
    pub(crate) id: Vec<u8>,
    /// The Apache child's process id.
    pub(crate) server_pid: u32,
    /// Method, scheme, host, `SCRIPT_NAME`, `PATH_INFO`, protocol, the client's address.
    pub(crate) texts: [String; 7],
    /// The client's `User-Agent`, where that is wanted.
    pub(crate) user_agent: Option<String>,
    /// The path of the script.
    pub(crate) script: Vec<u8>,
}

/// The keys of [`Facts::texts`] in the environ.
pub(crate) const TEXTS: [&str; 7] =
    ["REQUEST_METHOD", "wsgi.url_scheme", "HTTP_HOST", "SCRIPT_NAME", "PATH_INFO", "SERVER_PROTOCOL", "REMOTE_ADDR"];

/// A request whose application is being called.
pub(crate) struct InHand {
    facts: Facts,
    /// The number of its worker, counted from 1.
    worker: u32,
    /// The state by which its thread is attached to the interpreter.
    pub(crate) state: State,
    /// The interpreter that executes it.
    pub(crate) interpreter: &'static Interpreter,
    moments: Moments,
    active_at_start: u32,
    told: AtomicBool,
}

/// A slow request that is over.
struct Done {
    request: Arc<InHand>,
    finished: Finished,
    active: u32,
}

/// The requests in hand, and those that were slow.
pub(crate) struct SlowRequests {
    threshold: Duration,
    /// Locked for a moment only.
    in_hand: Mutex<BTreeMap<u32, Arc<InHand>>>,
    done: Mutex<VecDeque<Done>>,
}

static SLOW: OnceLock<SlowRequests> = OnceLock::new();

/// The list that is watched for slow requests, if anything asks for that.
pub(crate) fn slow_requests() -> Option<&'static SlowRequests> {
    SLOW.get()
}

/// Sets from how many seconds on requests are slow, and begins to watch them.
pub(crate) fn watch(seconds: f64) -> &'static SlowRequests {
    let threshold = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    SLOW.get_or_init(|| SlowRequests { threshold, in_hand: Mutex::default(), done: Mutex::default() })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SlowRequests {
    /// How often the list should be searched for slow requests.
    pub(crate) fn step(&self) -> Duration {
        (self.threshold / 2).clamp(Duration::from_millis(100), Duration::from_secs(1))
    }

    /// Notes that a worker calls the application, on this thread.
    pub(crate) fn began(
        &self,
        worker: u32,
        interpreter: &'static Interpreter,
        facts: Facts,
        moments: &Moments,
        active_at_start: u32,
    ) {
        let request = InHand {
            facts,
            worker,
            state: State::of(interpreter.handle),
            interpreter,
            moments: *moments,
            active_at_start,
            told: AtomicBool::new(false),
        };
        lock(&self.in_hand).insert(worker, Arc::new(request));
    }

    /// Notes that the application is done with the request of a worker; `active`: how many requests are executed, this
    /// one included.
    pub(crate) fn ended(&self, worker: u32, finished: &Finished, active: u32) {
        let Some(request) = lock(&self.in_hand).remove(&worker) else { return };
        if request.duration(finished.finish) < self.threshold {
            return;
        }
        let mut done = lock(&self.done);
        if done.len() == WAITING {
            done.pop_front();
        }
        done.push_back(Done { request, finished: *finished, active });
    }

    /// Returns the slow requests that are still executed and that the log has no record of yet; [`tell`](Self::tell)
    /// writes that.
    pub(crate) fn untold(&self) -> Vec<Arc<InHand>> {
        let untold = |request: &&Arc<InHand>| !request.told.load(Ordering::Relaxed);
        self.active().iter().filter(untold).cloned().collect()
    }

    fn active(&self) -> Vec<Arc<InHand>> {
        let now = now();
        let slow = |request: &&Arc<InHand>| request.duration(now) >= self.threshold;
        lock(&self.in_hand).values().filter(slow).cloned().collect()
    }

    /// Whether this request is still executed.
    pub(crate) fn is_in_hand(&self, request: &Arc<InHand>) -> bool {
        lock(&self.in_hand).get(&request.worker).is_some_and(|now| Arc::ptr_eq(now, request))
    }

    /// Writes the log's record of a request, with the stack of its thread.
    pub(crate) fn tell(&self, request: &InHand, stack: &str) {
        request.told.store(true, Ordering::Relaxed);
        let taken = request.duration(now()).as_secs_f64();
        let text = format!("has been executing for {taken:.1} s\n{stack}");
        request.log(self.threshold, &text);
    }

    /// Reports the slow requests that are over, and, to a service, those that are still executed.
    pub(crate) fn report(&self, telemetry: Option<&Telemetry>) {
        let done = std::mem::take(&mut *lock(&self.done));
        for Done { request, finished, active } in &done {
            if !request.told.swap(true, Ordering::Relaxed) {
                let taken = request.duration(finished.finish).as_secs_f64();
                request.log(self.threshold, &format!("took {taken:.1} s, and was answered {}", finished.status));
            }
            if let Some(telemetry) = telemetry {
                telemetry.slow_request(request, Some((finished, *active)));
            }
        }
        if let Some(telemetry) = telemetry {
            self.active().iter().take(ACTIVE).for_each(|request| telemetry.slow_request(request, None));
        }
    }
}

impl InHand {
    /// How long the request has taken since Apache began to read it.
    fn duration(&self, until: f64) -> Duration {
        Duration::try_from_secs_f64(until - self.moments.request_start).unwrap_or_default()
    }

    fn log(&self, threshold: Duration, what: &str) {
        let facts = &self.facts;
        let [method, _, _, script_name, path_info, ..] = &facts.texts;
        let label = self.interpreter.label();
        let seconds = threshold.as_secs_f64();
        let text = format!(
            "A slow request (WSGISlowRequests {seconds}): {method} {script_name}{path_info} in the {label} {what}"
        );
        // The stack stays below the sentence.
        let record = LogRecord::ours(&applications::SLOW_REQUEST, record::writer(), &text);
        let path = format!("{script_name}{path_info}").into_bytes();
        let name = RequestName { id: facts.id[..].into(), path: path[..].into(), script: facts.script[..].into() };
        record::write(record, Some(self.interpreter.application_group()), Some(name));
    }
}

impl Telemetry {
    /// Reports a slow request; `end`: its cost, and how many requests were executed then, if it is over.
    fn slow_request(&self, request: &InHand, end: Option<(&Finished, u32)>) {
        let (facts, moments) = (&request.facts, &request.moments);
        let mut datagram = self.datagram(Kind::SlowRequest, now());
        datagram.count(200, end.is_some().into());
        datagram.number(201, moments.request_start);
        datagram.number(202, request.duration(end.map_or_else(now, |(finished, _)| finished.finish)).as_secs_f64());
        datagram.count(203, request.worker.into());
        datagram.text(204, &facts.id, HOST);
        datagram.count(205, facts.server_pid.into());
        for (id, text) in (210..).zip(&facts.texts) {
            let max = match id {
                210 | 211 | 215 => METHOD,
                212 | 216 => HOST,
                _ => PATH,
            };
            datagram.text(id, text.as_bytes(), max);
        }
        if let Some(user_agent) = &facts.user_agent {
            datagram.text(217, user_agent.as_bytes(), HOST);
        }
        Self::put_costs(&mut datagram, request, end);
        self.send(&datagram);
    }

    fn put_costs(datagram: &mut Datagram, request: &InHand, end: Option<(&Finished, u32)>) {
        let moments = &request.moments;
        let phases = moments.phases().map(|phase| phase.as_secs_f64());
        for (id, phase) in (220..).zip(phases) {
            datagram.number(id, phase);
        }
        let so_far = || (now() - moments.application_start).max(0.0);
        datagram.number(223, end.map_or_else(so_far, |(finished, _)| finished.application.as_secs_f64()));
        let counts = end.map(|(finished, _)| finished.counts).unwrap_or_default();
        datagram.number(224, counts.gil_time.as_secs_f64());
        datagram.count(225, counts.gil_waits);
        let moved = [counts.input_length, counts.input_reads, counts.output_length, counts.output_writes];
        for (id, value) in (230..).zip(moved) {
            datagram.count(id, value);
        }
        datagram.number(234, counts.input_time.as_secs_f64());
        datagram.number(235, counts.output_time.as_secs_f64());
        datagram.count(240, end.map_or(0, |(finished, _)| finished.status.into()));
        datagram.number(250, end.map_or(0.0, |(finished, _)| finished.cpu_user.as_secs_f64()));
        datagram.number(251, end.map_or(0.0, |(finished, _)| finished.cpu_system.as_secs_f64()));
        datagram.count(260, request.active_at_start.into());
        datagram.count(261, end.map_or(0, |(_, active)| active.into()));
    }
}
