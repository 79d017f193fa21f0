//! The end of a daemon process: applications hear of it, workers finish, sub-interpreters end, and a thread ends the
//! process by force if all that takes too long.

use std::thread::JoinHandle;
use std::time::Duration;

use wsgi_unix::exit_now;
use wsgi_wire::control::Reason;
use wsgi_wire::messages::processes;

use crate::daemon::last_words;
use crate::daemon::serving::Serving;
use crate::ffi::guard;
use crate::life::ending::{end_interpreters, publish_process_stopping};
use crate::life::reporter;
use crate::log::record;
use crate::process::Process;
use crate::process::lifecycle::Stage;

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

/// Starts the thread that ends the process by force when the time for its end is over.
fn start_reaper(seconds: u32) {
    if seconds == 0 {
        return;
    }
    let last = move || {
        std::thread::sleep(Duration::from_secs(seconds.into()));
        last_words::ends_by_force(Process::get());
        reporter::stopped(false);
    };
    let reap = move || {
        guard::catch("the thread for the end by force", last);
        exit_now(1);
    };
    if std::thread::Builder::new().name("wsgi-reaper".into()).spawn(reap).is_err() {
        record::process(
            &processes::NO_REAPER,
            "There is no thread that could end the process by force; it may take its time.",
        );
    }
}
