//! Loading scripts before the first request comes.

use std::path::PathBuf;

use pyo3::Python;
use wsgi_unix::native;
use wsgi_wire::codec;
use wsgi_wire::settings::Preload;

use crate::ffi::attach;
use crate::gateway::script;
use crate::interpreter::Interpreter;
use crate::interpreters::Interpreters;
use crate::process::Process;
use crate::process::thread;

/// Loads the scripts that are wanted from the start, in their order, then those of earlier processes. Failures are
/// logged once and retried by the first request. Returns the digests of their reports.
pub(crate) fn preload(py: Python<'_>, process: &'static Process) -> Vec<u64> {
    scripts(process).filter_map(|script| preload_one(py, process, script).err()).collect()
}

/// The scripts that are loaded before the first request comes.
pub(crate) fn scripts(process: &'static Process) -> impl Iterator<Item = &'static Preload> {
    let settings = &process.settings;
    let path = |script: &&Preload| PathBuf::from(&*native(&script.script));
    // What an alias names may be a directory of scripts: which of them are asked for shows later.
    let wanted = settings.scripts.iter().filter(move |script| !path(script).is_dir());
    wanted.chain(settings.inherited.iter().filter(move |script| path(script).exists()))
}

fn preload_one(py: Python<'_>, process: &'static Process, preload: &Preload) -> Result<(), u64> {
    let load = |py: Python<'_>, interpreter: &Interpreter| {
        let report = script::import(py, interpreter, preload).map(|()| process.watch.script_loaded());
        report.map_err(|report| {
            // Python's own hash would differ from process to process.
            let digest = codec::digest(report.text.as_bytes());
            if !process.settings.known_failures.contains(&digest) {
                script::log_failure(py, interpreter, &preload.script, &report);
            }
            digest
        })
    };
    let doing = if process.settings.threads > 0 { "loading" } else { "running" };
    let what = format!("{doing} the script '{}'", String::from_utf8_lossy(&preload.script));
    if let Some(main) = Interpreters::get().main_for(py, &preload.application_group) {
        return process.recorder.during(&what, || load(py, main));
    }
    // This thread must not attach to a sub-interpreter (`attach`).
    let run = || {
        let interpreter = Interpreters::get().for_group(&preload.application_group);
        let load = |it: &'static Interpreter| attach::with(it.handle, |py| load(py, it));
        let loaded = interpreter.ok().map(|it| process.recorder.during(&what, || load(it)));
        attach::release();
        loaded
    };
    // Without its interpreter, which the log tells of, nothing is known of the script.
    attach::detach(py, || thread::run("preload", process.settings.stack_size, run)).unwrap_or(Ok(()))
}
