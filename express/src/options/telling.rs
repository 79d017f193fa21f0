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

/// Which running server is meant.
#[derive(Args, Clone, Debug)]
pub struct Running {
    /// The server root [default: that of a server at --host and --port]
    #[arg(long, value_name = "DIRECTORY")]
    pub server_root: Option<Utf8PathBuf>,
    /// The address that the server was started with
    #[arg(long, value_name = "ADDRESS", default_value = "localhost")]
    pub host: String,
    /// The port that the server was started with
    #[arg(long, value_name = "NUMBER", default_value_t = 8000)]
    pub port: u16,
    /// The administrator's socket of an Apache of your own: WSGISocketPrefix.PID.control.sock
    #[arg(long, value_name = "PATH", conflicts_with = "server_root")]
    pub socket: Option<Utf8PathBuf>,
}

/// Options of `restart`.
#[derive(Args, Clone, Debug)]
pub struct RestartOptions {
    /// The process group; without it, all of them
    pub group: Option<String>,
    /// The server that runs.
    #[command(flatten)]
    pub running: Running,
}

/// Options of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusOptions {
    /// Tell it again, every 2 seconds or every SECONDS
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = interval
    )]
    pub watch: Option<f64>,
    /// How it is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,
    /// The server that runs.
    #[command(flatten)]
    pub running: Running,
}

/// A pause that leaves the server time for others.
fn interval(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("it is a number of seconds from 0.1 to 3600".to_owned()),
    }
}
