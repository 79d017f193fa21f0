//! This process's own records: on standard error, in the format of Apache's error log.

use std::io::Write;

use wsgi_wire::record::{self, Level};

use crate::sys::clock;

/// Writes records up to a level.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// The last level that is written (`LogLevel` of the main server).
    pub level: Level,
}

impl Log {
    /// Writes one record, at one stroke so that those of other processes do not come between.
    pub fn record(&self, level: Level, text: &str) {
        if level <= self.level {
            let line = record::line(clock::local_time(), level, std::process::id(), text);
            // A log that cannot be written has nowhere to report it.
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }

    /// Something that somebody must look at.
    pub fn error(&self, text: &str) {
        self.record(Level::Error, text);
    }

    /// Something that works otherwise than asked for.
    pub fn warn(&self, text: &str) {
        self.record(Level::Warn, text);
    }

    /// The life of processes.
    pub fn info(&self, text: &str) {
        self.record(Level::Info, text);
    }
}
