//! The configuration that the Apache parent sends.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::control;
use wsgi_wire::control::Export;

use crate::channel::Channel;
use crate::lifecycle::TimeLimits;
use crate::log::Log;
use crate::outbox::{Outbox, Style};
use crate::sys::pages::Pages;

/// A process group. Its processes keep the record of the group that they were started with.
#[derive(Debug)]
pub struct Group {
    /// The settings as the Apache parent has sent them.
    pub settings: control::Group,
    /// The pages of its processes.
    pub pages: Rc<Pages>,
    /// The log for records about the group.
    pub log: Log,
    /// The time limits of its processes.
    pub limits: TimeLimits,
}

impl Group {
    /// The group's name.
    pub fn name(&self) -> &[u8] {
        &self.settings.daemon.group
    }

    /// The name of the group in messages.
    pub fn label(&self) -> String {
        String::from_utf8_lossy(self.name()).into_owned()
    }

    /// Whether processes of this group have the rights of the other's, so that each may answer the other's requests.
    pub fn is_like(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.settings.spawn, &other.settings.spawn);
        self.name() == other.name() && ours.identity == theirs.identity && ours.chroot == theirs.chroot
    }

    /// Whether its processes only run a script and take no requests.
    pub fn is_service(&self) -> bool {
        self.settings.daemon.threads == 0
    }
}

/// The settings of `WSGIOpenTelemetry`, and the sockets of the exporter.
#[derive(Debug)]
pub struct Exported {
    /// The settings as the Apache parent has sent them.
    pub export: Export,
    /// The socket into which spans and figures are sent.
    pub sends: OwnedFd,
    /// The socket from which the exporter reads them.
    pub receives: OwnedFd,
    /// The exporter's user and group; `None` where Apache does not run as root.
    pub user: Option<(u32, u32)>,
}

/// One configuration of Apache, as far as it concerns daemon processes.
#[derive(Debug)]
pub struct Configuration {
    /// The number of this configuration, counted by the Apache parent.
    pub generation: u32,
    /// When the configuration came into force.
    pub since: Instant,
    /// The log for records of this program's own.
    pub log: Log,
    /// The value of `WSGISocketPrefix`.
    pub socket_prefix: String,
    /// The Apache parent's pid.
    pub parent: u32,
    /// The main server's error log.
    pub main_log: Rc<OwnedFd>,
    /// The settings and sockets of the exporter; `None` without `WSGIOpenTelemetry`.
    pub exported: Option<Rc<Exported>>,
    /// All process groups of the configuration.
    pub groups: Vec<Rc<Group>>,
}

/// A configuration that cannot be taken. That can happen when an upgraded module talks to an older supervisor.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The message does not decode.
    #[error("its message is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The parent has said that no other configuration follows.
    #[error("it has said that no other configuration comes")]
    Settled,
    /// The log files are missing.
    #[error("its configuration came without an error log")]
    NoLog,
    /// The socket of the exporter is missing.
    #[error("its configuration came without the socket for what is exported")]
    NoExport,
    /// The pages of groups are missing.
    #[error("its configuration came without the pages of {0} groups")]
    NoPages(usize),
    /// The pages that came cannot be mapped.
    #[error("the pages of a group cannot be used: {0}")]
    Pages(#[from] std::io::Error),
}

impl Configuration {
    /// Reads a `Configure` message and takes its descriptors off the channel. Groups that are in `before` keep their
    /// pages. Records go to `outbox`.
    pub fn read(
        payload: &[u8],
        channel: &mut Channel,
        before: Option<&Self>,
        outbox: &Rc<RefCell<Outbox>>,
    ) -> Result<Self, ConfigurationError> {
        let message = control::Configure::from_bytes(payload)?;
        let [main_log, sends, receives] = channel
            .take_descriptors(3)
            .and_then(|logs| <[OwnedFd; 3]>::try_from(logs).ok())
            .ok_or(ConfigurationError::NoLog)?;
        outbox.borrow_mut().lead_to(sends, receives);
        let exported = match message.export {
            None => None,
            Some(export) => {
                let ends = channel.take_descriptors(2).and_then(|ends| <[OwnedFd; 2]>::try_from(ends).ok());
                let [sends, receives] = ends.ok_or(ConfigurationError::NoExport)?;
                Some(Rc::new(Exported { export, sends, receives, user: message.children }))
            }
        };
        let pages =
            channel.take_descriptors(message.groups.len()).ok_or(ConfigurationError::NoPages(message.groups.len()))?;
        let group = |(settings, pages): (control::Group, OwnedFd)| {
            let pages = Rc::new(Pages::map(pages)?);
            let mut known = before.iter().flat_map(|before| &before.groups).map(|group| &group.pages);
            let pages = known.find(|known| known.is_same(&pages)).map_or(pages, Rc::clone);
            let daemon = &settings.daemon;
            let graceful = daemon.graceful_timeout.max(daemon.eviction_timeout);
            let limits = TimeLimits::new(daemon.startup_timeout, graceful, daemon.shutdown_timeout);
            let log = Log {
                level: daemon.log_level,
                style: Style { format: daemon.log_format, vhost: daemon.vhost.to_vec() },
                group: daemon.group.to_vec(),
                outbox: Rc::clone(outbox),
            };
            Ok(Rc::new(Group { pages, log, limits, settings }))
        };
        Ok(Self {
            generation: message.generation,
            since: Instant::now(),
            log: Log {
                level: message.log_level,
                style: Style { format: message.log_format, vhost: message.vhost.to_vec() },
                group: Vec::new(),
                outbox: Rc::clone(outbox),
            },
            socket_prefix: message.socket_prefix,
            parent: message.parent,
            main_log: Rc::new(main_log),
            exported,
            groups: message.groups.into_iter().zip(pages).map(group).collect::<Result<_, ConfigurationError>>()?,
        })
    }
}
