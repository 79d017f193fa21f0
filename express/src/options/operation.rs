//! Logs, the server root, the user, services and monitoring.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum, value_parser};

/// What records look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// As Apache's own records.
    #[default]
    Text,
    /// Each record a line of JSON.
    Json,
}

/// The units by which systemd runs a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unit {
    /// The server.
    Service,
    /// What it listens at, which systemd opens for it.
    Socket,
}

/// Options of logs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logs")]
pub struct Logging {
    /// Log to the terminal
    #[arg(long)]
    pub log_to_terminal: bool,
    /// How much is logged: a level, and MODULE:LEVEL
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub log_level: String,
    /// What all records of the error log look like
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Directory of the logs; wins over --log-to-terminal [default: the server root]
    #[arg(long, value_name = "DIRECTORY")]
    pub log_directory: Option<Utf8PathBuf>,
    /// Log requests
    #[arg(long)]
    pub access_log: bool,
    /// Form of that: common, combined or one of your own
    #[arg(long, value_name = "FORMAT", default_value = "common")]
    pub access_log_format: String,
    /// Name of the access log
    #[arg(long, value_name = "NAME", default_value = "access_log")]
    pub access_log_name: String,
    /// Name of the error log
    #[arg(long, value_name = "NAME", default_value = "error_log")]
    pub error_log_name: String,
    /// Form of the error log's records
    #[arg(long, value_name = "FORMAT")]
    pub error_log_format: Option<String>,
    /// Log what happens while Apache starts
    #[arg(long)]
    pub startup_log: bool,
    /// Name of the startup log
    #[arg(long, value_name = "NAME", default_value = "startup_log")]
    pub startup_log_name: String,
    /// Begin a new log file when one has become large
    #[arg(long)]
    pub rotate_logs: bool,
    /// Megabytes at which that happens
    #[arg(long, value_name = "MEGABYTES", default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    pub max_log_size: u32,
    /// The rotatelogs program
    #[arg(long, value_name = "FILE")]
    pub rotatelogs_executable: Option<Utf8PathBuf>,
    /// No effect, as in mod_wsgi 6
    #[arg(long, hide = true)]
    pub verbose_debugging: bool,
}

/// Options of the server root and programs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server root and programs")]
pub struct Layout {
    /// Directory for the configuration, logs and sockets [default: a private one for this address and port]
    #[arg(long, value_name = "DIRECTORY")]
    pub server_root: Option<Utf8PathBuf>,
    /// File of options (TOML); below the command line and MOD_WSGI_EXPRESS_* variables, above pyproject.toml
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<Utf8PathBuf>,
    /// Show each option's value and where it comes from, and do nothing
    #[arg(long)]
    pub show_config: bool,
    /// Only prepare the server root
    #[arg(long)]
    pub setup_only: bool,
    /// Print the configuration of Apache, and do nothing
    #[arg(long)]
    pub print: bool,
    /// Print the systemd unit of this server, or of its sockets, and do nothing
    #[arg(long, value_name = "UNIT", num_args = 0..=1, require_equals = true, default_missing_value = "service")]
    pub systemd: Option<Unit>,
    /// File for the process id of Apache's parent process
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<Utf8PathBuf>,
    /// Directory for the sockets of the application's processes
    #[arg(long, value_name = "DIRECTORY")]
    pub socket_prefix: Option<Utf8PathBuf>,
    /// Apache's program
    #[arg(long, value_name = "FILE")]
    pub httpd_executable: Option<Utf8PathBuf>,
    /// Directory of Apache's modules
    #[arg(long, value_name = "DIRECTORY")]
    pub modules_directory: Option<Utf8PathBuf>,
    /// Shell that runs apachectl
    #[arg(long, value_name = "FILE")]
    pub shell_executable: Option<Utf8PathBuf>,
    /// Title of Apache's parent process
    #[arg(long, value_name = "NAME")]
    pub process_name: Option<String>,
}

/// Options of the user, the environment and the locale.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "User and environment")]
pub struct Identity {
    /// User to run as, when started by root
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Group to run as, when started by root
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Value in the environ of every request; may be repeated
    #[arg(long, value_names = ["NAME", "VALUE"], num_args = 2)]
    pub setenv: Vec<String>,
    /// Environment variable to copy into the environ of every request; may be repeated
    #[arg(long, value_name = "NAME")]
    pub passenv: Vec<String>,
    /// File of NAME=VALUE lines for the environment of the application's processes, and of nobody else; may be repeated
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<Utf8PathBuf>,
    /// Shell fragment that exports variables [default: envvars in the server root]
    #[arg(long, value_name = "FILE")]
    pub envvars_script: Option<Utf8PathBuf>,
    /// Locale of the application [default: that of the caller, C.UTF-8 if it has none]
    #[arg(long, value_name = "NAME")]
    pub locale: Option<String>,
    /// Older name of --locale
    #[arg(long, hide = true, value_name = "NAME")]
    pub lang: Option<String>,
}

/// Options of programs beside the application.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Services")]
pub struct Services {
    /// Python script to run in a process of its own; may be repeated
    #[arg(long, value_names = ["NAME", "SCRIPT"], num_args = 2)]
    pub service_script: Vec<String>,
    /// User of a service
    #[arg(long, value_names = ["NAME", "USER"], num_args = 2)]
    pub service_user: Vec<String>,
    /// Group of a service
    #[arg(long, value_names = ["NAME", "GROUP"], num_args = 2)]
    pub service_group: Vec<String>,
    /// Error log of a service, in the log directory
    #[arg(long, value_names = ["NAME", "FILE"], num_args = 2)]
    pub service_log_file: Vec<String>,
}

/// Options of monitoring.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Monitoring")]
pub struct Monitoring {
    /// Status pages at /server-status and /wsgi-status, for clients on this machine
    #[arg(long)]
    pub server_status: bool,
    /// Let the application read Apache's metrics
    #[arg(long)]
    pub server_metrics: bool,
    /// Socket of mod_wsgi-telemetry, which is told what requests cost: unix:PATH
    #[arg(long, value_name = "TARGET")]
    pub telemetry_service: Option<String>,
    /// Run mod_wsgi-telemetry beside the application, with its pages on this machine
    #[arg(long)]
    pub enable_telemetry: bool,
    /// Port of its pages
    #[arg(long, value_name = "PORT", default_value_t = 8888, value_parser = value_parser!(u16).range(1..))]
    pub telemetry_ui_port: u16,
    /// Seconds between two reports to it
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub telemetry_interval: f64,
    /// What reports hold besides: CaptureUserAgent, with + or -; may be repeated
    #[arg(long, value_name = "OPTIONS")]
    pub telemetry_options: Vec<String>,
    /// Log requests that take longer than this, with where they are, and report them to mod_wsgi-telemetry
    #[arg(long, value_name = "SECONDS")]
    pub slow_requests: Option<f64>,
    /// Collector of OpenTelemetry that gets metrics and traces over OTLP/HTTP: http://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub opentelemetry: Option<String>,
    /// Name of the application there
    #[arg(long, value_name = "NAME")]
    pub opentelemetry_service: Option<String>,
    /// Share of the requests that get a span, from 0 to 1; those of a trace are decided by whoever began it
    #[arg(long, value_name = "SHARE")]
    pub opentelemetry_sample: Option<f64>,
    /// Seconds between two reports of metrics
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..=3600))]
    pub opentelemetry_interval: Option<u32>,
    /// Attribute of the resource that metrics and spans are of, KEY=VALUE; may be repeated
    #[arg(long, value_name = "ATTRIBUTE")]
    pub opentelemetry_attribute: Vec<String>,
}
