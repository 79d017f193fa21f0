//! What the whole process shares: settings, its page of the process table, interpreters, life cycle.

pub(crate) mod forked;
pub(crate) mod lifecycle;
pub(crate) mod limits;
pub(crate) mod recorder;
pub(crate) mod reload;
pub(crate) mod thread;

use std::sync::OnceLock;
use std::time::SystemTime;

use wsgi_wire::settings::Daemon;
use wsgi_wire::table::Page;

use crate::daemon::monitor::Watch;
use crate::ffi::scoreboard::Scoreboard;
use crate::interpreter::advice::Advised;
use crate::interpreters::Interpreters;
use crate::metrics::Metrics;
use crate::process::lifecycle::Lifecycle;
use crate::process::recorder::Recorder;
use crate::process::reload::Holding;
use crate::workers::Activity;

/// The one daemon process that this is. Holds no Python object of its own, so it may be shared by all interpreters.
pub(crate) struct Process {
    /// What the supervisor said.
    pub(crate) settings: Daemon,
    /// Where Apache children and the supervisor see how it is.
    pub(crate) page: &'static Page,
    /// Apache's scoreboard.
    pub(crate) scoreboard: Scoreboard,
    /// Its interpreters.
    pub(crate) interpreters: Interpreters,
    /// Where it is in its life.
    pub(crate) lifecycle: Lifecycle,
    /// Whether it waits for a successor with the new code of a script.
    pub(crate) holding: Holding,
    /// What the monitor has to know of its requests.
    pub(crate) watch: Watch,
    /// What its workers do, by number.
    pub(crate) activities: Vec<Activity>,
    /// What it has done.
    pub(crate) metrics: Metrics,
    /// The scripts that the log has said a cure for.
    pub(crate) advised: Advised,
    /// What it notes about itself.
    pub(crate) recorder: Recorder,
    /// When it began.
    pub(crate) started: SystemTime,
}

static PROCESS: OnceLock<Process> = OnceLock::new();

impl Process {
    /// Says what the process is; once, before anything else of the engine runs.
    pub(crate) fn begin(process: Process) -> &'static Process {
        PROCESS.get_or_init(|| process)
    }

    /// Whether this is an Apache child in embedded mode: daemon processes have a group.
    pub(crate) fn is_embedded(&self) -> bool {
        self.settings.group.is_empty()
    }

    /// Which process this is, for messages.
    pub(crate) fn place(&self) -> String {
        match self.is_embedded() {
            true => "in embedded mode".to_owned(),
            false => format!("of daemon process '{}'", String::from_utf8_lossy(&self.settings.group)),
        }
    }

    /// The process.
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
