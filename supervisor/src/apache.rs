//! What Apache wants: its parent says so on the control socket.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::stdio::dup2_stderr;
use wsgi_wire::codec::Malformed;
use wsgi_wire::frame::Kind;
use wsgi_wire::messages::processes;

use crate::channel::Channel;
use crate::configuration::{Configuration, Invalid};
use crate::log::Log;

/// How long Apache may take to read a configuration. If it takes longer, processes end too early, and others start.
const READING: Duration = Duration::from_secs(wsgi_wire::limits::READING as u64);

/// The Apache parent, as far as this program knows it.
#[derive(Debug)]
pub struct Apache {
    /// The way to it, until it closes that.
    control: Option<Channel>,
    /// Whether all that it has said has been read.
    closed: bool,
    stopping: bool,
    /// While it reads a configuration: when that must have come. Without the module in it none comes.
    awaited: Option<Instant>,
}

impl Apache {
    /// An Apache that has not said anything yet.
    pub fn new(control: Channel) -> Self {
        Self { control: Some(control), closed: false, stopping: false, awaited: None }
    }

    /// Whether it is there.
    pub fn is_there(&self) -> bool {
        self.control.is_some()
    }

    /// Whether all processes are to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether it has read a configuration in which this module is not any more.
    pub fn is_abandoned(&self) -> bool {
        self.awaited.is_some_and(|limit| Instant::now() >= limit)
    }

    /// When the configuration that it reads must have come.
    pub fn wake(&self) -> Option<Instant> {
        self.awaited.filter(|_| !self.is_abandoned())
    }

    /// What to wait at.
    pub fn source(&self) -> Option<PollFd<'_>> {
        self.control.as_ref().map(|control| PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN))
    }

    /// Reads what it has said; [`next`](Self::next) tells.
    pub fn listen(&mut self) {
        self.closed = self.control.as_mut().is_some_and(|control| !control.receive());
    }

    /// The next configuration that it has sent. `before` is the one in force, and `log` is the log of that.
    pub fn next(&mut self, before: Option<&Configuration>, log: &Log) -> Option<Configuration> {
        match self.obey(before, log) {
            Ok(Some(configuration)) => {
                self.awaited = None;
                // A graceful restart after log rotation brings a new file.
                if let Err(error) = dup2_stderr(&*configuration.main_log) {
                    configuration
                        .log
                        .record(&processes::LOG_NOT_USED, &format!("the new error log cannot be used: {error}"));
                }
                Some(configuration)
            }
            Ok(None) => {
                if self.closed {
                    self.control = None;
                    self.stopping = true;
                }
                None
            }
            Err(error) => {
                let text = format!(
                    "the Apache module is not of the same installation as this supervisor ({error}); all daemon processes stop"
                );
                log.record(&processes::OTHER_INSTALLATION, &text);
                self.control = None;
                self.stopping = true;
                None
            }
        }
    }

    /// Does what it has said, up to a configuration.
    fn obey(&mut self, before: Option<&Configuration>, log: &Log) -> Result<Option<Configuration>, Invalid> {
        let Some(control) = &mut self.control else { return Ok(None) };
        while let Some((kind, payload)) = control.next()? {
            match kind {
                Kind::Configure => return Configuration::read(&payload, control, before, &log.outbox).map(Some),
                Kind::Reading => self.awaited = Some(Instant::now() + READING),
                Kind::Stop => self.stopping = true,
                other => return Err(Malformed::Unknown(other as u64).into()),
            }
        }
        Ok(None)
    }
}
