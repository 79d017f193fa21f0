//! The tools of debug mode, and the directories that they write to.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::path::Directory;
use crate::options::Debugging;

/// The tools that watch the application in debug mode, as `mod_wsgi.express.debugging` gets them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tools {
    /// The value of `--enable-debugger`.
    pub debugger: bool,
    /// The value of `--debugger-startup`.
    pub debugger_startup: bool,
    /// Directory of `--enable-coverage`.
    pub coverage: Option<Utf8PathBuf>,
    /// Directory of `--enable-profiler`.
    pub profiler: Option<Utf8PathBuf>,
    /// Directory of `--enable-recorder`.
    pub recorder: Option<Utf8PathBuf>,
}

/// A tool that writes files.
pub struct Output {
    /// The option that names its directory.
    pub option: &'static str,
    /// The name of the tool in the banner.
    pub label: &'static str,
}

impl Tools {
    /// Selects the tools that the options ask for.
    pub fn new(chosen: &Debugging, here: &Directory, root: &Utf8Path) -> Self {
        let directory = |enabled: bool, given: &Option<Utf8PathBuf>, default: &str| {
            enabled.then(|| here.absolute_or(given.as_deref(), || root.join(default)))
        };
        Self {
            debugger: chosen.enable_debugger,
            debugger_startup: chosen.debugger_startup,
            coverage: directory(chosen.enable_coverage, &chosen.coverage_directory, "htmlcov"),
            profiler: directory(chosen.enable_profiler, &chosen.profiler_directory, "pstats"),
            recorder: directory(chosen.enable_recorder, &chosen.recorder_directory, "archive"),
        }
    }

    /// The tools that write files, with their directories.
    pub fn outputs(&self) -> impl Iterator<Item = (Output, &Utf8Path)> {
        let all = [
            ("--coverage-directory", "Coverage Output", self.coverage.as_deref()),
            ("--profiler-directory", "Profiler Output", self.profiler.as_deref()),
            ("--recorder-directory", "Recorder Output", self.recorder.as_deref()),
        ];
        all.into_iter().filter_map(|(option, label, directory)| Some((Output { option, label }, directory?)))
    }
}
