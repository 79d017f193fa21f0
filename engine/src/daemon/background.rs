//! Work that needs a GIL and must not hold up the main thread, which has to notice when nobody gives the GIL back.

use std::ops::ControlFlow;
use std::sync::mpsc::{Sender, channel};

use pyo3::types::PyAnyMethods;
use pyo3::{PyResult, Python};
use wsgi_wire::messages::Topic;

use crate::api::events;
use crate::ffi::{guard, object};
use crate::interpreters::Interpreters;
use crate::log::record;
use crate::log::traceback;
use crate::process::Process;
use crate::process::thread;
use crate::workers::activity::{self, Busy};

/// One piece of work for the background thread.
pub(crate) enum BackgroundTask {
    /// Publish `process_signal` in all interpreters.
    Signal(i32),
    /// Raise `RequestTimeout` in this worker, if it still serves that request.
    Interrupt(usize, Busy),
}

/// Sends tasks to the background thread, which runs them in order.
pub(crate) struct Background(Sender<BackgroundTask>);

impl Background {
    /// Starts the background thread with a stack of this size, bytes; 0 is the system's own size.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub(crate) fn start(stack_size: u64) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let next = move || match receiver.recv() {
            Ok(task) => {
                carry_out(task);
                ControlFlow::Continue(())
            }
            Err(_) => ControlFlow::Break(()),
        };
        thread::builder("background", stack_size).spawn(|| guard::repeat("a background task", next))?;
        Ok(Self(sender))
    }

    /// Adds a task.
    pub(crate) fn send(&self, task: BackgroundTask) {
        // The thread ends only with the process.
        let _ = self.0.send(task);
    }
}

fn carry_out(task: BackgroundTask) {
    let process = Process::get();
    match task {
        BackgroundTask::Signal(number) => {
            let name = if number == libc::SIGHUP { "SIGHUP" } else { "SIGUSR2" };
            for interpreter in Interpreters::get().all() {
                let publish = |py: Python<'_>| events::process_signal(py, interpreter, name, number);
                Interpreters::get().visit(interpreter, publish);
            }
        }
        BackgroundTask::Interrupt(worker, busy) => {
            Interpreters::get().visit(busy.execution.interpreter, |py| interrupt(py, process, worker, &busy));
        }
    }
}

/// Raises `RequestTimeout` in a worker, if it still serves that request.
fn interrupt(py: Python<'_>, process: &Process, worker: usize, busy: &Busy) {
    let Some(activity) = activity::all().get(worker) else { return };
    let serves_it = || activity.busy().as_ref().is_some_and(|now| now.since == busy.since);
    if !serves_it() {
        return;
    }
    // Where it is now, not where it will be with the exception. This may let it go on.
    let stack = stack(py, busy).unwrap_or_else(|error| traceback::describe(py, &error));
    let what = process.recorder.describe(worker as u32 + 1);
    // The worker needs the GIL to go on to another request, and we have it.
    if serves_it() {
        object::set_async_exception(
            py,
            busy.execution.thread,
            Some(busy.execution.interpreter.request_timeout.bind(py)),
        );
        let group = String::from_utf8_lossy(&process.settings.group);
        let number = worker + 1;
        record::process(
            Topic::INFO,
            &format!("Injected RequestTimeout into thread {number} of daemon process '{group}'. {what}\n{stack}"),
        );
    }
}

/// Returns the Python stack of a request's thread, as text.
fn stack(py: Python<'_>, busy: &Busy) -> PyResult<String> {
    busy.execution.interpreter.prelude.bind(py).call_method1("stack", (busy.execution.state.frame(py),))?.extract()
}
