//! The notes of a daemon process that ends otherwise than it should: where its threads are. The supervisor writes the
//! record about the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use pyo3::Python;
use pyo3::types::PyAnyMethods;
use wsgi_unix::thread_id;
use wsgi_wire::control::Reason;
use wsgi_wire::recorder::STACKS_SIGNAL;

use crate::ffi::guard;
use crate::ffi::recorder::signal_thread;
use crate::interpreter::Interpreter;
use crate::interpreters::Interpreters;
use crate::process::Process;
use crate::process::thread;

/// How long to wait for the GILs, so that the stacks do not move while they are written down.
const GIL_WAIT: Duration = Duration::from_millis(200);

/// How long a thread may take to write down its stacks.
const WRITING: Duration = Duration::from_millis(20);

/// Notes why the process is going to end, for a reason that is no part of an ordinary life, what it is doing and where
/// its threads are. Called on a thread that is attached to nothing; takes up to [`GIL_WAIT`], and a moment more.
pub(crate) fn ends_for(process: &'static Process, reason: Reason) {
    if !process.recorder.ends_for(reason) {
        return;
    }
    let (late, (done, wait)) = (Arc::new(AtomicBool::new(false)), sync_channel(1));
    let too_late = Arc::clone(&late);
    let write = move || {
        let interpreters = Interpreters::get();
        for interpreter in interpreters.all() {
            let dump = |py: Python<'_>| {
                if !too_late.load(Ordering::Acquire) {
                    // Without stacks the record says so.
                    let _ =
                        process.recorder.dump_function(py).and_then(|dump| dump.map(|dump| dump.call0()).transpose());
                }
            };
            interpreters.visit(interpreter, dump);
        }
        let _ = done.send(());
    };
    let writer = thread::builder("stacks", process.settings.stack_size).spawn(move || guard::catch("stacks", write));
    if writer.is_err() || wait.recv_timeout(GIL_WAIT).is_err() {
        late.store(true, Ordering::Release);
        write_stacks_by_signal(process);
    }
}

/// Notes where the threads are before the process ends itself by force, unless it has noted before why it was to end.
pub(crate) fn ends_by_force(process: &Process) {
    if process.recorder.ends_by_force() {
        write_stacks_by_signal(process);
    }
}

/// Writes the stacks of the main interpreter, and of all others that a thread with a noted request is in, whoever holds
/// their GILs.
fn write_stacks_by_signal(process: &Process) {
    signal_thread(thread_id(), STACKS_SIGNAL);
    let main = Interpreters::get().main().map(Interpreter::id);
    let mut told: Vec<u64> = main.into_iter().collect();
    for activity in process.recorder.activities() {
        if !told.contains(&activity.interpreter) {
            told.push(activity.interpreter);
            signal_thread(activity.thread, STACKS_SIGNAL);
            std::thread::sleep(WRITING);
        }
    }
}
