//! The process-wide part of a configuration while it is being read.
#![forbid(unsafe_code)]

use std::sync::Mutex;

use wsgi_wire::control::Export;

use super::group::{Group, GroupOptions};
use crate::policy::origin::Origin;
use crate::policy::script_directives::ACCESS_GROUP;
use crate::policy::trace::Sampling;
use crate::policy::visibility;
use crate::policy::words::{ArgumentError, show};

/// The configuration that directives are adding to. `pre_config` empties it, `post_config` takes it; requests never
/// look at it.
pub static DRAFT: Mutex<Configuration> = Mutex::new(Configuration::EMPTY);

/// A script that processes load when they start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preload {
    /// The file of the script.
    pub script: Vec<u8>,
    /// The process group; empty is embedded mode.
    pub process_group: Vec<u8>,
    /// The application group; empty is the main interpreter.
    pub application_group: Vec<u8>,
    /// `callable-object` of an alias, else empty.
    pub callable: Vec<u8>,
}

/// Settings of interpreters: of all at the top level, of some in `<WSGIInterpreterOptions>`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InterpreterSettings {
    /// The value of `WSGIPythonPath`.
    pub python_path: Vec<Vec<u8>>,
    /// The value of `WSGIRestrictStdin`.
    pub restrict_stdin: Option<bool>,
    /// The value of `WSGIRestrictStdout`.
    pub restrict_stdout: Option<bool>,
    /// The value of `WSGIRestrictSignal`.
    pub restrict_signal: Option<bool>,
    /// The value of `WSGISwitchInterval`.
    pub switch_interval: Option<f64>,
    /// The value of `WSGIPerInterpreterGIL`.
    pub own_gil: Option<bool>,
    /// The value of `WSGIFreeThreading`.
    pub free_threading: Option<bool>,
}

/// One section `<WSGIInterpreterOptions>`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InterpreterSection {
    /// The process groups that the section is for, one or, with `None`, all.
    pub process_group: Option<Vec<u8>>,
    /// The application groups that the section is for, one or, with `None`, all.
    pub application_group: Option<Vec<u8>>,
    /// The settings of the directives inside.
    pub settings: InterpreterSettings,
}

impl InterpreterSection {
    /// How many selectors it has: the more, the more specific it is.
    pub fn specificity(&self) -> usize {
        usize::from(self.process_group.is_some()) + usize::from(self.application_group.is_some())
    }
}

/// `WSGIOpenTelemetry`: a collector, and what it gets.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTelemetry {
    /// Where the collector is, and what the supervisor must know about it.
    pub export: Export,
    /// Which requests the collector hears of.
    pub sampling: Sampling,
}

/// What daemon processes report, and to whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// `WSGITelemetryService`: the socket and the seconds between two reports.
    pub service: Option<(Vec<u8>, f64)>,
    /// The value of `WSGIOpenTelemetry`.
    pub open: Option<OpenTelemetry>,
    /// Whether `WSGITelemetryOptions` has `CaptureUserAgent`.
    pub user_agent: bool,
    /// `WSGISlowRequests`, seconds; 0 for none.
    pub slow_requests: f64,
}

impl Telemetry {
    /// The setting of a server that reports nothing.
    pub const NONE: Self = Self { service: None, open: None, user_agent: false, slow_requests: 0.0 };
}

/// The settings with which Python starts in an Apache child.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PythonSettings {
    /// The value of `WSGIPythonHome`.
    pub home: Option<Vec<u8>>,
    /// The value of `WSGIPythonEggs`.
    pub eggs: Option<Vec<u8>>,
    /// The value of `WSGIPythonOptimize`.
    pub optimize: u8,
    /// The value of `WSGIPythonWarnings`.
    pub warnings: Vec<Vec<u8>>,
    /// `WSGIPythonHashSeed`: `random` or a number.
    pub hash_seed: Option<Vec<u8>>,
    /// The value of `WSGIDontWriteBytecode`.
    pub dont_write_bytecode: bool,
}

/// Everything that is not per server or per directory.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// All process groups, in order.
    pub groups: Vec<Group>,
    /// All scripts to load at start, in order.
    pub preloads: Vec<Preload>,
    /// How many applications there are at least: script aliases and imported scripts.
    pub applications: u32,
    /// The value of `WSGISocketPrefix`.
    pub socket_prefix: Option<Vec<u8>>,
    /// The value of `WSGIRestrictEmbedded`.
    pub restrict_embedded: bool,
    /// The settings with which Python starts in an Apache child.
    pub python: PythonSettings,
    /// Top-level settings of interpreters.
    pub interpreters: InterpreterSettings,
    /// `<WSGIInterpreterOptions>`, in order.
    pub sections: Vec<InterpreterSection>,
    /// The value of `WSGIDestroyInterpreter`.
    pub destroy_interpreter: bool,
    /// The value of `WSGISingleInterpreter`.
    pub single_interpreter: bool,
    /// The value of `WSGICaseSensitivity`.
    pub case_sensitive: bool,
    /// The value of `WSGILinger`.
    pub lingers: bool,
    /// The value of `WSGIWebSocketSuspend`.
    pub suspends_websockets: bool,
    /// The value of `WSGIServerMetrics`.
    pub server_metrics: bool,
    /// What daemon processes report, and to whom.
    pub telemetry: Telemetry,
}

impl Configuration {
    /// The configuration of a server that has no directive of ours.
    pub const EMPTY: Self = Self {
        groups: Vec::new(),
        preloads: Vec::new(),
        applications: 0,
        socket_prefix: None,
        restrict_embedded: false,
        python: PythonSettings {
            home: None,
            eggs: None,
            optimize: 0,
            warnings: Vec::new(),
            hash_seed: None,
            dont_write_bytecode: false,
        },
        interpreters: InterpreterSettings {
            python_path: Vec::new(),
            restrict_stdin: None,
            restrict_stdout: None,
            restrict_signal: None,
            switch_interval: None,
            own_gil: None,
            free_threading: None,
        },
        sections: Vec::new(),
        destroy_interpreter: true,
        single_interpreter: true,
        case_sensitive: !cfg!(target_os = "macos"),
        lingers: true,
        suspends_websockets: true,
        server_metrics: false,
        telemetry: Telemetry::NONE,
    };

    /// Makes the process group of scripts that are asked about requests and name none, unless there is one of its name.
    pub fn add_access_group(&mut self) {
        if self.group(ACCESS_GROUP).is_none() {
            let options = GroupOptions::default();
            self.groups.push(Group { name: ACCESS_GROUP.to_vec(), origin: Origin::default(), options });
        }
    }

    /// The process group of a name.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.iter().find(|g| g.name == name)
    }

    /// Checks that a fixed process group is defined before `origin` uses it, and may be used there.
    ///
    /// # Errors
    /// Names the group and the reason.
    pub fn check_group(&self, name: &[u8], origin: &Origin) -> Result<(), ArgumentError> {
        if name.is_empty() {
            return Ok(());
        }
        let Some(group) = self.group(name) else {
            return Err(ArgumentError::Conflict(format!(
                "process group `{}` is not defined yet; put its WSGIDaemonProcess before this line",
                show(name)
            )));
        };
        if visibility::configurable(&group.origin, origin) {
            return Ok(());
        }
        Err(ArgumentError::Conflict(format!(
            "process group `{}` belongs to another virtual host; define it in the main server, or give both hosts the same ServerName",
            show(name)
        )))
    }
}
