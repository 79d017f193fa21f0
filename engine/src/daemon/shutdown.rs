//! The end of a process: applications hear of it, workers finish, sub-interpreters end, and a thread ends the process
//! by force if all that takes too long.

use std::thread::JoinHandle;
use std::time::Duration;

use wsgi_wire::control::Reason;
use wsgi_wire::messages::processes;

use crate::api::events;
use crate::daemon::serving::Serving;
use crate::daemon::{last_words, reporter};
use crate::ffi::attach;
use crate::ffi::process::exit_now;
use crate::interpreters::Interpreters;
use crate::log::record;
use crate::process::Process;
use crate::process::lifecycle::Stage;
use crate::process::thread;

/// Ends everything but the main interpreter, which Python itself ends. Returns whether no sub-interpreter is left.
pub(super) fn finish(
    process: &'static Process,
    serving: Serving,
    workers: Vec<JoinHandle<()>>,
    reason: Reason,
) -> bool {
    process.lifecycle.enter(Stage::Stopping);
    process.page.leave();
    reporter::stopping(reason.name());
    start_reaper(process.settings.shutdown_timeout);
    serving.close();
    publish_process_stopping(process, reason.name());
    for worker in workers {
        // A worker that panicked has logged it.
        let _ = worker.join();
    }
    reporter::stopped(true);
    process.settings.destroy_interpreter && end_interpreters(process)
}

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

/// Starts the thread that ends the process by force when the time for its end is over.
fn start_reaper(seconds: u32) {
    if seconds == 0 {
        return;
    }
    let reap = move || {
        std::thread::sleep(Duration::from_secs(seconds.into()));
        last_words::ends_by_force(Process::get());
        reporter::stopped(false);
        exit_now(1);
    };
    if std::thread::Builder::new().name("wsgi-reaper".into()).spawn(reap).is_err() {
        record::process(
            &processes::NO_REAPER,
            "There is no thread that could end the process by force; it may take its time.",
        );
    }
}
