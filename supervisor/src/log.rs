//! This process's own records: on standard error, which is the main server's error log, or, about a group, in its virtual host's error log.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::io::{retry_on_intr, write};
use rustix::stdio::stderr;
use wsgi_wire::json::{self, Context};
use wsgi_wire::record::{Format, Level, LogRecord, Speaker};
use wsgi_wire::text;

use crate::sys::clock;

/// Writes records up to a level.
#[derive(Debug, Clone)]
pub struct Log {
    /// The last level that is written (`LogLevel` of the server).
    pub level: Level,
    /// `WSGILogFormat` of the server.
    pub format: Format,
    /// Its `ServerName`.
    pub vhost: Vec<u8>,
    /// Where to; `None` is standard error.
    pub file: Option<Rc<OwnedFd>>,
    /// The process group that the records are about.
    pub group: Option<Vec<u8>>,
}

impl Log {
    /// Until there is a configuration.
    pub fn provisional() -> Self {
        Self { level: Level::Info, format: Format::Text, vhost: Vec::new(), file: None, group: None }
    }

    /// Writes one record, at one stroke so that those of other processes do not come between.
    pub fn record(&self, level: Level, text: &str) {
        if level > self.level {
            return;
        }
        // This process has one thread, whose number is the process's.
        let pid = std::process::id();
        let record = LogRecord::ours(level, Speaker { pid, thread: pid }, text);
        let line = match self.format {
            Format::Text => text::lines(clock::local_time(), &record),
            Format::Json => {
                let (vhost, process_group) = (Some(&self.vhost[..]), self.group.as_deref());
                json::line(clock::local_time(), &record, &Context { vhost, process_group, ..Context::default() })
            }
        };
        let file = match &self.file {
            Some(file) => file.as_fd(),
            None => stderr(),
        };
        // A log that cannot be written has nowhere to report it.
        let _ = retry_on_intr(|| write(file, line.as_bytes()));
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
