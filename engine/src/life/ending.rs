//! The end of applications: they hear of it, and sub-interpreters end.

use crate::api::events;
use crate::ffi::attach;
use crate::interpreters::Interpreters;
use crate::process::Process;
use crate::process::thread;

/// Publishes `process_stopping` in all interpreters. On a thread of its own: the caller's must not attach to a
/// sub-interpreter (`attach`).
pub(crate) fn publish_process_stopping(process: &'static Process, reason: &str) {
    thread::run("shutdown", process.settings.stack_size, || {
        for interpreter in Interpreters::get().all() {
            let publish = || attach::with(interpreter.handle, |py| events::process_stopping(py, interpreter, reason));
            process.recorder.during(&format!("process_stopping in the {}", interpreter.label()), publish);
        }
        attach::release();
        Some(())
    });
}

/// Ends the sub-interpreters, on a thread of its own. Returns whether none is left.
pub(crate) fn end_interpreters(process: &'static Process) -> bool {
    let end = || {
        let ended = Interpreters::get().end();
        attach::release();
        Some(ended)
    };
    thread::run("the end of the interpreters", process.settings.stack_size, end) == Some(true)
}
