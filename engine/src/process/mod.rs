//! What the whole process shares: its settings, its page of the process table, its stage of life, and what it notes
//! about itself.
//!
//! Knows which process this is. Must not know interpreters, requests or connections, so everything above may ask it.

pub(crate) mod advised;
pub(crate) mod forked;
pub(crate) mod lifecycle;
pub(crate) mod limits;
#[cfg_attr(windows, path = "windows/recorder.rs")]
pub(crate) mod recorder;
pub(crate) mod reload;
pub(crate) mod thread;
#[cfg_attr(windows, path = "windows/wake.rs")]
mod wake;
pub(crate) mod watch;

use std::sync::OnceLock;
use std::time::SystemTime;

use wsgi_wire::control::Reason;
use wsgi_wire::settings::Daemon;
use wsgi_wire::table::Page;

use crate::ffi::scoreboard::Scoreboard;
use crate::metrics::Metrics;
use crate::process::advised::AdvisedScripts;
use crate::process::lifecycle::Lifecycle;
use crate::process::recorder::Recorder;
use crate::process::reload::{Hold, SuccessorRequest};
use crate::process::watch::Watch;

/// The process that this code runs in. Holds no Python object of its own, so all interpreters may share it.
pub(crate) struct Process {
    /// The settings that the supervisor has sent.
    pub(crate) settings: Daemon,
    /// The page of shared memory where Apache children and the supervisor see how the process is.
    pub(crate) page: &'static Page,
    /// The way to Apache's scoreboard.
    pub(crate) scoreboard: Scoreboard,
    /// The stage of its life, and what other threads ask the main thread for.
    pub(crate) lifecycle: Lifecycle,
    /// Whether requests are held until a successor has the new code of a script.
    pub(crate) hold: Hold,
    /// The facts that workers leave for the monitor.
    pub(crate) watch: Watch,
    /// The records of what its requests have cost.
    pub(crate) metrics: Metrics,
    /// The scripts that the log has had advice for.
    pub(crate) advised: AdvisedScripts,
    /// The flight recorder.
    pub(crate) recorder: Recorder,
    /// When the process began.
    pub(crate) started: SystemTime,
}

static PROCESS: OnceLock<Process> = OnceLock::new();

impl Process {
    /// Sets the process that this is; once, before anything else of the engine runs.
    pub(crate) fn begin(process: Process) -> &'static Process {
        PROCESS.get_or_init(|| process)
    }

    /// Requests a successor, once for each version of a script that a request has come for and this process has not
    /// loaded. Returns whether the request may be served by the code that is loaded.
    pub(crate) fn may_serve(&self, asked: &SuccessorRequest, version: i64) -> bool {
        if asked.is_new(version) {
            if !self.settings.rolling_reload {
                self.hold.begin();
                // Before the request goes back, so that no child brings it again at once.
                self.page.hold();
            }
            self.lifecycle.retire(Reason::ScriptReload);
        }
        !self.hold.is_holding()
    }

    /// Serves with the loaded code: no successor has got the new code of a script to work.
    pub(crate) fn serve_on(&self) {
        self.hold.end();
        self.page.resume();
    }

    /// Whether this is an Apache child in embedded mode: daemon processes have a group.
    pub(crate) fn is_embedded(&self) -> bool {
        self.settings.group.is_empty()
    }

    /// Whether Apache is this one process (`httpd -X`): its terminal is free for a debugger then.
    pub(crate) fn is_whole_server(&self) -> bool {
        self.settings.apache == std::process::id()
    }

    /// The name of this process in messages.
    pub(crate) fn place(&self) -> String {
        match self.is_embedded() {
            true => "in embedded mode".to_owned(),
            false => format!("of daemon process '{}'", String::from_utf8_lossy(&self.settings.group)),
        }
    }

    /// Returns the process that this code runs in.
    ///
    /// # Panics
    /// If it has not begun, which nothing but [`crate::daemon`] could bring about.
    #[allow(
        clippy::expect_used,
        reason = "an engine without a process is a bug of ours, and every caller is behind a guard"
    )]
    pub(crate) fn get() -> &'static Process {
        PROCESS.get().expect("the process has begun")
    }
}
