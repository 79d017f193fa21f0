//! Which application is served, and how requests reach it.

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

/// What the entry point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApplicationType {
    /// The path of a script file.
    Script,
    /// The name of a module that can be imported.
    Module,
    /// A PasteDeploy ini file.
    Paste,
    /// A directory of files; there is no application.
    Static,
}

impl ApplicationType {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Module => "module",
            Self::Paste => "paste",
            Self::Static => "static",
        }
    }
}

/// How HEAD requests are passed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum MapHead {
    /// As GET where a filter needs the body.
    #[default]
    #[value(alias = "auto")]
    Auto,
    /// Always as GET.
    #[value(alias = "on")]
    On,
    /// Never.
    #[value(alias = "off")]
    Off,
}

impl MapHead {
    /// As Apache reads it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::On => "On",
            Self::Off => "Off",
        }
    }
}

/// Splits `MODULE:CALLABLE`, as gunicorn and uvicorn write it.
pub fn module_and_callable(entry: &str) -> Option<(&str, &str)> {
    entry.split_once(':').filter(|(module, name)| is_dotted(module) && is_dotted(name) && !name.contains('.'))
}

/// Whether this may be the dotted name of a module or of what is in it.
pub fn is_dotted(name: &str) -> bool {
    let is_identifier = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    name.split('.').all(is_identifier)
}

/// Options of the application.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Application")]
pub struct Application {
    /// The application: a script file, MODULE:CALLABLE, or what --application-type says
    #[arg(value_name = "ENTRY", help_heading = None)]
    pub entry: Option<String>,
    /// What the entry point is [default: script; module for MODULE:CALLABLE and for a module of the working directory]
    #[arg(long, value_name = "TYPE", value_enum)]
    pub application_type: Option<ApplicationType>,
    /// The entry point; wins over ENTRY
    #[arg(long, value_name = "ENTRY")]
    pub entry_point: Option<String>,
    /// Name of the WSGI callable in the script or module
    #[arg(long, value_name = "NAME", default_value = "application")]
    pub callable_object: String,
    /// URL below which the application is found
    #[arg(long, value_name = "URL", default_value = "/")]
    pub mount_point: String,
    /// Directory to run in, first on the module search path [default: the current directory]
    #[arg(long, value_name = "DIRECTORY")]
    pub working_directory: Option<Utf8PathBuf>,
    /// Directory to add to the module search path; may be repeated
    #[arg(long, value_name = "DIRECTORY")]
    pub python_path: Vec<Utf8PathBuf>,
    /// Python warnings filter, as for python -W; may be repeated
    #[arg(long, value_name = "FILTER")]
    pub python_warnings: Vec<String>,
    /// Directory where Python eggs are unpacked
    #[arg(long, value_name = "DIRECTORY")]
    pub python_eggs: Option<Utf8PathBuf>,
    /// Application group (interpreter) to run in [default: the main interpreter]
    #[arg(long, value_name = "NAME")]
    pub application_group: Option<String>,
    /// Name of the daemon process group [default: HOST:PORT]
    #[arg(long, value_name = "NAME")]
    pub process_group: Option<String>,
    /// Script that answers for the document root's files with an extension; may be repeated
    #[arg(long, value_names = ["EXTENSION", "SCRIPT"], num_args = 2)]
    pub add_handler: Vec<String>,
    /// Run .cgi files of the document root
    #[arg(long)]
    pub with_cgi: bool,
    /// Accept request bodies of unknown length
    #[arg(long)]
    pub chunked_request: bool,
    /// Largest request body, in bytes; 0 for no limit
    #[arg(long, value_name = "BYTES", default_value_t = 10_485_760)]
    pub limit_request_body: u64,
    /// Whether HEAD requests reach the application as GET
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub map_head_to_get: MapHead,
    /// Restart the application when any of its modules changes
    #[arg(long)]
    pub reload_on_changes: bool,
    /// Never look whether the script has changed
    #[arg(long)]
    pub disable_reloading: bool,
    /// Leave interpreters as they are when a process ends
    #[arg(long)]
    pub orphan_interpreter: bool,
    /// Seconds for which a Python thread may keep the interpreter to itself
    #[arg(long, value_name = "SECONDS")]
    pub switch_interval: Option<f64>,
    /// Run without the global interpreter lock (free-threaded Python only)
    #[arg(long)]
    pub free_threading: bool,
}

impl Application {
    /// Whether the application is named as `MODULE:CALLABLE`.
    pub fn names_callable(&self) -> bool {
        let given = self.entry_point.as_ref().or(self.entry.as_ref());
        given.is_some_and(|entry| module_and_callable(entry).is_some())
    }
}
