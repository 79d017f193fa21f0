//! Embedded mode: the engine lives in an Apache child, whose threads call it with their requests
//! ([`wsgi_wire::embedded`]).
//!
//! Knows the calls by which Apache and the engine hand a request to each other, and on which thread it runs. Must not
//! know what a request means, nor daemon processes.

mod call;
mod executor;
mod transport;
mod turns;

use std::cell::OnceCell;
use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::{PyErr, Python};
use wsgi_unix::fork;
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::frame::Kind;
use wsgi_wire::request as wire;
use wsgi_wire::response::Fail;
use wsgi_wire::settings::Daemon;
use wsgi_wire::table::Page;

use crate::embedded::call::Call;
use crate::ffi::attach;
use crate::ffi::host::Host;
use crate::ffi::scoreboard::Scoreboard;
use crate::interpreters::Interpreters;
use crate::life::{self, ending, preload, reporter};
use crate::log::record;
use crate::log::traceback;
use crate::process::Process;
use crate::process::recorder::Recorder;
use crate::request::route;

/// Why Python cannot serve requests in an Apache child.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeginError {
    #[error("its settings are not those of this build ({0}); install the Apache module and the engine of one version")]
    Settings(#[from] DecodeError),
    #[error("a system resource is missing: {0}")]
    System(#[from] std::io::Error),
    #[error("the main interpreter could not be set up:\n{0}")]
    Interpreter(String),
}

/// Prepares the process that Python has just begun in.
///
/// # Errors
/// [`BeginError`]; then requests cannot be served.
pub(crate) fn begin(py: Python<'_>, settings: &[u8], scoreboard: Scoreboard) -> Result<(), BeginError> {
    let settings = Daemon::from_bytes(settings)?;
    record::limit(settings.log_level);
    fork::begin_as_guest()?;
    // No other process looks at an Apache child's counters.
    let page: &'static Page = Box::leak(Box::default());
    let scoreboard = if settings.server_metrics { scoreboard } else { Scoreboard::Forbidden };
    let process = Process::begin(life::begin(settings, page, scoreboard, Recorder::default(), 0)?);
    let failed = |error: PyErr| BeginError::Interpreter(traceback::describe(py, &error));
    Interpreters::get().set_up_main(py).map_err(failed)?;
    preload::preload(py, process);
    reporter::start(py, process);
    Ok(())
}

/// Ends Python's work in an Apache child: applications hear of it, sub-interpreters end. Called on the thread that
/// Python began on. Returns whether Python can be finalised: sub-interpreters in which Apache's threads have been
/// cannot be ended, but their exit functions have run.
pub(crate) fn end(py: Python<'_>) -> bool {
    let process = Process::get();
    let destroy = process.settings.destroy_interpreter;
    let clean = attach::detach(py, || {
        executor::end();
        reporter::stopping("");
        ending::publish_process_stopping(process, "");
        reporter::stopped(true);
        destroy && ending::end_interpreters(process)
    });
    if destroy && !clean {
        if let Some(main) = Interpreters::get().main() {
            main.join_threads(py);
            main.run_exit_functions(py);
        }
    }
    clean
}

/// Answers one request of this thread. Returns `false` if there is no answer at all.
pub(crate) fn serve(host: Host, route: &[u8], request: &[u8]) -> bool {
    let (Ok(route), Ok(decoded)) = (route::in_full(route), wire::Request::decode(request)) else { return false };
    let interpreter = match Interpreters::get().of(&route) {
        Ok(interpreter) => interpreter,
        Err(none) => return host.send_frame(Kind::Fail, &Fail { status: none.status() }.to_bytes(), None),
    };
    let number = THREAD.with(|thread| *thread.get_or_init(|| THREADS.fetch_add(1, Ordering::Relaxed) + 1));
    let call = Call { host, route, interpreter, number };
    let answer = if executor::may_wait(&call, &decoded) {
        executor::serve(call, decoded, request)
    } else {
        call.execute_here(decoded)
    };
    // What the application has left goes to Apache when others may run Python already: a client can be slow.
    let Some(mut transport) = answer else { return false };
    // That the client is gone Apache knows by itself.
    let _ = transport.hand_over();
    true
}

static THREADS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The number of this thread, given at its first request.
    static THREAD: OnceCell<u32> = const { OnceCell::new() };
}
