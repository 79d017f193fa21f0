//! Commands that tell something, and how they write it.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::server::Options;

/// How something is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Options of `check`: those of `start-server`, and what is checked instead of it.
#[derive(Args, Clone, Debug)]
pub struct CheckOptions {
    /// How findings are written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t, help_heading = "Check")]
    pub format: Format,
    /// Check the configuration of an Apache of your own instead
    #[arg(long, help_heading = "Check")]
    pub apache: bool,
    /// Its main file, with --apache [default: the one that Apache reads without being told]
    #[arg(short = 'f', long = "apache-config", value_name = "FILE", requires = "apache", help_heading = "Check")]
    pub file: Option<Utf8PathBuf>,
    /// What would be started.
    #[command(flatten)]
    pub options: Options,
}
