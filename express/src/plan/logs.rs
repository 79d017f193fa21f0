//! The destinations of the logs.

use std::fs::OpenOptions;

use camino::{Utf8Path, Utf8PathBuf};
use httpd_conf::{AccessLog, Logs, Target};

use super::apache::{self, Installation};
use super::context::Context;
use super::error::PlanError;
use crate::options::{LogFormat, Logging};

/// The destination that all logs have in common.
#[derive(Debug)]
pub struct LogDestination {
    terminal: bool,
    directory: Utf8PathBuf,
    own_directory: bool,
    rotation: Option<(Utf8PathBuf, u32)>,
    startup: Option<Utf8PathBuf>,
}

impl LogDestination {
    /// Reads the options: `--log-directory` wins over `--log-to-terminal`, which wins over `--rotate-logs`.
    pub fn new(context: &Context, installation: &Installation) -> Result<Self, PlanError> {
        let logging = &context.options.logging;
        let terminal = logging.log_to_terminal && logging.log_directory.is_none();
        let rotation = match (&logging.rotatelogs_executable, logging.rotate_logs && !terminal) {
            (_, false) => None,
            (Some(path), true) => {
                Some((apache::program("--rotatelogs-executable", path, &context.here)?, logging.max_log_size))
            }
            (None, true) => Some((installation.rotatelogs()?, logging.max_log_size)),
        };
        let directory = context.here.absolute_or(logging.log_directory.as_deref(), || context.root.to_owned());
        let startup = logging
            .startup_log
            .then(|| if terminal { "/dev/stderr".into() } else { directory.join(&logging.startup_log_name) });
        Ok(Self { terminal, own_directory: logging.log_directory.is_some(), directory, rotation, startup })
    }

    /// The settings of Apache's logs.
    pub fn logs(&self, logging: &Logging) -> Logs {
        Logs {
            error: self.target(&logging.error_log_name, "/dev/stderr"),
            level: logging.log_level.split_whitespace().map(str::to_owned).collect(),
            json: logging.log_format == LogFormat::Json,
            error_format: logging.error_log_format.clone(),
            access: logging.access_log.then(|| AccessLog {
                target: self.target(&logging.access_log_name, "/dev/stdout"),
                format: logging.access_log_format.clone(),
            }),
        }
    }

    /// The target of the log with this `name`; `device` is its target on the terminal.
    fn target(&self, name: &str, device: &str) -> Target {
        if !self.terminal {
            return self.file(name);
        }
        // Standard output may be a socket (journald) or another user's terminal, which can be written to but not
        // opened.
        match (OpenOptions::new().append(true).open(device), apache::on_path("cat")) {
            (Err(_), Some(cat)) => Target::Pipe(vec![cat.into_string()]),
            _ => Target::File(device.into()),
        }
    }

    /// The target of a log that is a file even where others go to the terminal.
    pub fn file(&self, name: &str) -> Target {
        let file = self.directory.join(name);
        match &self.rotation {
            Some((rotatelogs, megabytes)) => {
                Target::Rotated { rotatelogs: rotatelogs.clone(), file, megabytes: *megabytes }
            }
            None => Target::File(file),
        }
    }

    /// The log of Apache's start, if there is to be one.
    pub fn startup(&self) -> Option<&Utf8Path> {
        self.startup.as_deref()
    }

    /// The directory that `--log-directory` names.
    pub fn own_directory(&self) -> Option<Utf8PathBuf> {
        self.own_directory.then(|| self.directory.clone())
    }

    /// The place of a log, for people.
    pub fn place(&self, name: &str) -> String {
        if self.terminal { "the terminal".to_owned() } else { self.directory.join(name).into_string() }
    }
}
