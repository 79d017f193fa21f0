//! The Apache parent's side: what it sends on the control socket.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::stdio::dup2_stderr;
use wsgi_wire::codec::DecodeError;
use wsgi_wire::frame::Kind;
use wsgi_wire::messages::processes;

use crate::channel::Channel;
use crate::configuration::{Configuration, ConfigurationError};
use crate::log::Log;

/// How long Apache may take to read a configuration. If it takes longer, processes end too early, and others start.
const READING: Duration = Duration::from_secs(wsgi_wire::limits::READING as u64);

const CONFIGURED_BY_CHILD: &str = "what serves requests in the only process of Apache has sent a configuration, which is not taken; all daemon processes stop";

/// The Apache parent, as this program knows it.
#[derive(Debug)]
pub struct Apache {
    /// The control socket, until the parent closes it.
    control: Option<Channel>,
    /// Whether everything that the parent has sent has been read.
    closed: bool,
    stopping: bool,
    /// Whether no other configuration follows: a process that still sends one is not the one that root has started.
    settled: bool,
    /// While the parent reads a configuration: the moment by which that must have come. Without the module in it none
    /// comes.
    awaited: Option<Instant>,
}

impl Apache {
    /// An Apache parent that has not sent anything yet.
    pub fn new(control: Channel) -> Self {
        Self { control: Some(control), closed: false, stopping: false, settled: false, awaited: None }
    }

    /// Whether the Apache parent is connected.
    pub fn is_there(&self) -> bool {
        self.control.is_some()
    }

    /// Whether all processes are to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether the parent has read a configuration in which this module is not any more.
    pub fn is_abandoned(&self) -> bool {
        self.awaited.is_some_and(|limit| Instant::now() >= limit)
    }

    /// The moment by which the configuration that is being read must have come.
    pub fn wake(&self) -> Option<Instant> {
        self.awaited.filter(|_| !self.is_abandoned())
    }

    /// The descriptor that the poll loop waits at.
    pub fn source(&self) -> Option<PollFd<'_>> {
        self.control.as_ref().map(|control| PollFd::from_borrowed_fd(control.as_fd(), PollFlags::IN))
    }

    /// Reads what the parent has sent; [`next`](Self::next) returns it.
    pub fn listen(&mut self) {
        self.closed = self.control.as_mut().is_some_and(|control| !control.receive());
    }

    /// Returns the next configuration that the parent has sent. `before` is the one in force, and `log` is the log of
    /// that.
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
                if matches!(error, ConfigurationError::Settled) {
                    log.record(&processes::CONFIGURED_BY_CHILD, CONFIGURED_BY_CHILD);
                    self.control = None;
                    self.stopping = true;
                    return None;
                }
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

    /// Obeys what the parent has sent, up to a configuration.
    fn obey(&mut self, before: Option<&Configuration>, log: &Log) -> Result<Option<Configuration>, ConfigurationError> {
        let Some(control) = &mut self.control else { return Ok(None) };
        while let Some((kind, payload)) = control.next()? {
            match kind {
                Kind::Configure | Kind::Reading if self.settled => return Err(ConfigurationError::Settled),
                Kind::Settled => self.settled = true,
                Kind::Configure => return Configuration::read(&payload, control, before, &log.outbox).map(Some),
                Kind::Reading => self.awaited = Some(Instant::now() + READING),
                Kind::Stop => self.stopping = true,
                other => return Err(DecodeError::Unknown(other as u64).into()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use wsgi_wire::frame;

    use super::*;

    #[test]
    fn an_apache_that_reads_a_configuration_without_the_module_is_noticed_when_its_time_is_over() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut apache = Apache::new(Channel::with_descriptors(ours).unwrap());
        let mut message = Vec::new();
        frame::put(&mut message, Kind::Reading, |_| {}).unwrap();
        theirs.write_all(&message).unwrap();
        assert!(apache.wake().is_none());
        let before = Instant::now();
        apache.listen();
        assert!(apache.next(None, &Log::provisional()).is_none());
        let limit = apache.wake().unwrap();
        assert!((before + READING..=Instant::now() + READING).contains(&limit));
        assert!(!apache.is_abandoned() && !apache.is_stopping());
        // So much later.
        apache.awaited = limit.checked_sub(READING);
        assert!(apache.is_abandoned() && apache.wake().is_none());
    }

    #[test]
    fn an_apache_that_serves_requests_itself_configures_nothing_any_more() {
        for kind in [Kind::Configure, Kind::Reading, Kind::Stop] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let mut apache = Apache::new(Channel::with_descriptors(ours).unwrap());
            let mut message = Vec::new();
            frame::put(&mut message, Kind::Settled, |_| {}).unwrap();
            theirs.write_all(&message).unwrap();
            apache.listen();
            assert!(apache.next(None, &Log::provisional()).is_none());
            assert!(apache.is_there() && !apache.is_stopping());
            message.clear();
            frame::put(&mut message, kind, |_| {}).unwrap();
            theirs.write_all(&message).unwrap();
            apache.listen();
            assert!(apache.next(None, &Log::provisional()).is_none());
            assert!(apache.is_stopping() && apache.wake().is_none(), "{kind:?}");
            assert_eq!(apache.is_there(), kind == Kind::Stop, "who sends one is not listened to any more");
        }
    }
}
