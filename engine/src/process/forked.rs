//! Processes that an application forks (`os.fork`, `multiprocessing`, `pty.fork`, C's `fork`). They have nothing of the
//! process that serves requests ([`wsgi_unix::fork`]) but its memory, in which a call of the application is in
//! progress. One that comes back from that call instead of ending by itself ends here: it would answer a request that
//! is answered already, and then the requests of others.

use pyo3::exceptions::PySystemExit;
use pyo3::types::PyAnyMethods;
use pyo3::{PyErr, Python};
use wsgi_unix::{exit_now, fork};
use wsgi_wire::messages::applications;
use wsgi_wire::record::Stream;

use crate::log::outside;
use crate::log::record;
use crate::log::traceback;
use crate::process::Process;

/// Called when code of an application has returned to the engine, or raised. Does not return in a process that the
/// application forked.
pub(crate) fn came_back(py: Python<'_>, error: Option<&PyErr>) {
    if !fork::is_ours() {
        end(py, error);
    }
}

/// Called where code of an application runs between other steps of the engine: ends a forked process, so that none of
/// these is done there.
pub(crate) fn must_not_come_back() {
    if !fork::is_ours() {
        tell("came back from the application");
        exit_now(1);
    }
}

fn tell(what: &str) {
    let text = format!(
        "A process that an application {} has forked {what}. It ends here: only the process that got a request can answer it, and one that is \
         forked meanwhile has to end by os._exit().",
        Process::get().place()
    );
    record::process(&applications::FORK_CAME_BACK, &text);
}

#[cold]
fn end(py: Python<'_>, error: Option<&PyErr>) -> ! {
    outside::end();
    match error {
        Some(error) if error.is_instance_of::<PySystemExit>(py) => exit_now(exit_code(py, error)),
        Some(error) => tell(&format!("let an exception escape:\n{}\n", traceback::describe(py, error))),
        // A service process is its script, and so is its child: both end when it does.
        None if is_service() => exit_now(0),
        None => tell("came back from the application as if it were to answer the request"),
    }
    exit_now(1);
}

fn is_service() -> bool {
    let process = Process::get();
    process.settings.threads == 0 && !process.is_embedded()
}

/// The exit code that `sys.exit()` was called with; as the interpreter has it, what is no number is written to the log
/// and means 1.
fn exit_code(py: Python<'_>, error: &PyErr) -> i32 {
    let code = error.value(py).getattr("code").ok().filter(|code| !code.is_none());
    let Some(code) = code else { return 0 };
    code.extract().unwrap_or_else(|_| {
        let text = code.str().map(|text| text.to_string()).unwrap_or_default();
        record::of_application(Stream::Stderr, &text);
        1
    })
}
