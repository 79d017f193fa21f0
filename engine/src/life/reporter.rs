//! The thread that reports what requests cost ([`crate::telemetry`]). It waits for no request, and no request waits for
//! it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use pyo3::types::PyAnyMethods;
use pyo3::{PyResult, Python};
use wsgi_wire::messages::processes;

use crate::ffi::guard;
use crate::interpreters::Interpreters;
use crate::log::{record, traceback};
use crate::process::{Process, thread};
use crate::telemetry::slow::{self, InHand, SlowRequests};
use crate::telemetry::{self, Telemetry};

/// The state of the reporting thread.
struct Reporter {
    telemetry: Option<&'static Telemetry>,
    slow: Option<&'static SlowRequests>,
    /// The time between two reports.
    interval: Duration,
}

/// Starts the thread, if the configuration asks for reports or for records of slow requests; attached to the main
/// interpreter.
pub(crate) fn start(py: Python<'_>, process: &'static Process) {
    if let Err(error) = begin(py, process) {
        let text = traceback::describe(py, &error);
        record::process(
            &processes::NO_REPORTER,
            &format!("WSGITelemetryService and WSGISlowRequests have no effect in this process: {text}"),
        );
    }
}

fn begin(py: Python<'_>, process: &'static Process) -> PyResult<()> {
    let settings = &process.settings;
    let telemetry = telemetry::prepare(py, process)?;
    let slow = (settings.slow_requests > 0.0).then(|| slow::watch(settings.slow_requests));
    if telemetry.is_none() && slow.is_none() {
        return Ok(());
    }
    if let Some(telemetry) = telemetry {
        process.metrics.start(py);
        telemetry.started();
    }
    let interval = settings.telemetry.as_ref().map_or(1.0, |telemetry| telemetry.interval);
    let reporter = Reporter { telemetry, slow, interval: Duration::from_secs_f64(interval) };
    let mut due = Instant::now() + reporter.interval;
    let turn = move || {
        reporter.turn(&mut due);
        ControlFlow::Continue(())
    };
    thread::builder("telemetry", 0).spawn(|| guard::repeat("telemetry", turn))?;
    Ok(())
}

impl Reporter {
    /// Sleeps until there may be something to say, and says it.
    fn turn(&self, due: &mut Instant) {
        let step = self.slow.map_or(self.interval, SlowRequests::step);
        std::thread::sleep(step.min(due.saturating_duration_since(Instant::now())));
        let is_due = Instant::now() >= *due;
        if is_due {
            // One that was held up does not hurry after.
            *due = Instant::now() + self.interval;
        }
        self.tell_log();
        if is_due {
            self.report();
        }
    }

    /// Writes the log's records of requests that are slow by now, with their Python stacks.
    fn tell_log(&self) {
        let Some(slow) = self.slow else { return };
        for request in slow.untold() {
            let stack = Interpreters::get().visit(request.interpreter, |py| {
                // Its thread needs the GIL to get on to another request, and we have it.
                let is_there = slow.is_in_hand(&request);
                is_there.then(|| stack(py, &request).unwrap_or_else(|error| traceback::describe(py, &error)))
            });
            if let Some(stack) = stack.flatten() {
                slow.tell(&request, &stack);
            }
        }
    }

    fn report(&self) {
        if let Some(telemetry) = self.telemetry {
            telemetry.requests();
        }
        if let Some(slow) = self.slow {
            slow.report(self.telemetry);
        }
        if let Some(telemetry) = self.telemetry {
            collectors(telemetry);
        }
    }
}

/// Returns the Python stack of a request's thread, as text.
fn stack(py: Python<'_>, request: &InHand) -> PyResult<String> {
    request.interpreter.prelude.bind(py).call_method1("stack", (request.state.frame(py),))?.extract()
}

/// Reports the state of the garbage collectors.
fn collectors(telemetry: &Telemetry) {
    let all = Interpreters::get().all();
    for interpreter in &all {
        let name = (all.len() > 1).then(|| interpreter.application_group());
        let report = Interpreters::get().visit(interpreter, |py| {
            let report = interpreter.prelude.bind(py).call_method0("collector_report")?;
            report.extract::<(Vec<u64>, Vec<(f64, f64, u64, u64, u64)>)>()
        });
        if let Some(Ok((state, passes))) = report {
            telemetry.collector(name, &state, &passes);
        }
    }
}

/// Reports that the process is going to end.
pub(crate) fn stopping(reason: &str) {
    if let Some(telemetry) = telemetry::telemetry() {
        telemetry.stopping(reason);
    }
}

/// Reports that the process ends; `graceful`: not by force.
pub(crate) fn stopped(graceful: bool) {
    if let Some(slow) = slow::slow_requests() {
        slow.report(telemetry::telemetry());
    }
    if let Some(telemetry) = telemetry::telemetry() {
        telemetry.requests();
        telemetry.stopped(graceful);
    }
}
