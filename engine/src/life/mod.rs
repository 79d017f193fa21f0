//! What begins and ends with a process that serves, in daemon and in embedded mode: its state, the scripts that are
//! loaded before the first request, the thread that reports, the end of its interpreters.
//!
//! Knows interpreters and how scripts are loaded. Must not know the supervisor, nor by which way requests come.

pub(crate) mod ending;
pub(crate) mod preload;
pub(crate) mod reporter;
mod unsupported;

use std::time::SystemTime;

use wsgi_wire::settings::Daemon;
use wsgi_wire::table::Page;

use crate::ffi::runtime::version;
use crate::ffi::scoreboard::Scoreboard;
use crate::log::record;
use crate::metrics::Metrics;
use crate::process::Process;
use crate::process::lifecycle::Lifecycle;
use crate::process::limits;
use crate::process::recorder::Recorder;
use crate::process::watch::Watch;

/// Makes the process with these settings; `seed` makes its jitter differ from that of other processes.
pub(crate) fn begin(
    settings: Daemon,
    page: &'static Page,
    scoreboard: Scoreboard,
    recorder: Recorder,
    seed: u64,
) -> std::io::Result<Process> {
    for (message, sentence) in unsupported::ignored_settings(&settings, version()) {
        record::process(message, &sentence);
    }
    let limit = (settings.maximum_requests > 0).then(|| limits::with_jitter(settings.maximum_requests, seed));
    Ok(Process {
        page,
        scoreboard,
        recorder,
        lifecycle: Lifecycle::new()?,
        hold: Default::default(),
        watch: Watch::new(limit),
        metrics: Metrics::new(settings.threads as usize),
        advised: Default::default(),
        started: SystemTime::now(),
        settings,
    })
}
