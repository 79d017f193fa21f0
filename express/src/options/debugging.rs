//! Modes in which the application runs inside Apache's own processes, and the tools that work in them.

use camino::Utf8PathBuf;
use clap::Args;

/// Options of embedded mode, debug mode and its tools.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Embedded mode and debugging")]
pub struct Debugging {
    /// Run the application inside Apache's own processes
    #[arg(long)]
    pub embedded_mode: bool,
    /// Run everything in one process with one thread, at this terminal
    #[arg(long)]
    pub debug_mode: bool,
    /// Stop in Python's debugger when the application raises an exception (debug mode)
    #[arg(long)]
    pub enable_debugger: bool,
    /// Stop there before the application is loaded, too
    #[arg(long)]
    pub debugger_startup: bool,
    /// Tell which lines were executed, with the package coverage (debug mode)
    #[arg(long)]
    pub enable_coverage: bool,
    /// Directory for that [default: htmlcov in the server root]
    #[arg(long, value_name = "DIRECTORY")]
    pub coverage_directory: Option<Utf8PathBuf>,
    /// Measure where time goes, for pstats (debug mode)
    #[arg(long)]
    pub enable_profiler: bool,
    /// Directory for that [default: pstats in the server root]
    #[arg(long, value_name = "DIRECTORY")]
    pub profiler_directory: Option<Utf8PathBuf>,
    /// Keep what was asked and answered in files (debug mode)
    #[arg(long)]
    pub enable_recorder: bool,
    /// Directory for that [default: archive in the server root]
    #[arg(long, value_name = "DIRECTORY")]
    pub recorder_directory: Option<Utf8PathBuf>,
    /// Run Apache under gdb (debug mode)
    #[arg(long)]
    pub enable_gdb: bool,
    /// The gdb program
    #[arg(long, value_name = "FILE", default_value = "gdb")]
    pub gdb_executable: Utf8PathBuf,
}

impl Debugging {
    /// The options that make everything run in one process, and whether each is given: debug mode itself, and tools
    /// that work in it alone.
    pub fn modes(&self) -> [(bool, &'static str); 6] {
        [
            (self.debug_mode, "--debug-mode"),
            (self.enable_debugger, "--enable-debugger"),
            (self.enable_coverage, "--enable-coverage"),
            (self.enable_profiler, "--enable-profiler"),
            (self.enable_recorder, "--enable-recorder"),
            (self.enable_gdb, "--enable-gdb"),
        ]
    }

    /// Whether everything runs in one process.
    pub fn one_process(&self) -> bool {
        self.modes().into_iter().any(|(given, _)| given)
    }

    /// Whether the application runs in Apache's own processes.
    pub fn embedded(&self) -> bool {
        self.embedded_mode || self.one_process()
    }
}
