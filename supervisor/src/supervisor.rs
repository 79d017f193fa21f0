//! The event loop: waits for messages, signals and times, and passes them on to those that they concern.

use std::io;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Pid;
use wsgi_wire::messages::processes;
use wsgi_wire::table::control_path;

use crate::administration::Administration;
use crate::apache::Apache;
use crate::channel::Channel;
use crate::configuration::Configuration;
use crate::fleet::Fleet;
use crate::leftovers;
use crate::log::Log;
use crate::notify::{Condition, Notifier};
use crate::privileges::with_all;
use crate::process::spawn::Shared;
use crate::signals::Signals;
use crate::sys::alarm;
use crate::telemetry::Telemetry;

/// The state of this program.
#[derive(Debug)]
pub struct Supervisor {
    apache: Apache,
    fleet: Fleet,
    administration: Administration,
    notifier: Notifier,
    signals: Signals,
    telemetry: Telemetry,
    log: Log,
}

impl Supervisor {
    /// Makes a supervisor that waits for its first configuration.
    pub fn new(control: Channel, shared: Shared, signals: Signals, log: Log) -> Self {
        Self {
            apache: Apache::new(control),
            fleet: Fleet::new(shared),
            administration: Administration::default(),
            notifier: Notifier::from_environment(),
            signals,
            telemetry: Telemetry::default(),
            log,
        }
    }

    /// Runs until it is told to stop and all processes are gone.
    ///
    /// # Errors
    /// If the system's means of waiting fail, which leaves nothing sensible to do.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            let wake = self.fleet.act(|| (!self.apache.is_stopping()).then(|| !self.apache.is_abandoned()));
            if (self.apache.is_stopping() || self.apache.is_abandoned()) && self.fleet.is_empty() {
                self.telemetry.finish(|| self.fleet.status());
                let count = leftovers::end();
                if count > 0 {
                    self.log.info(&format!("{count} processes that applications had started were ended"));
                }
                self.fleet.outputs.hear();
                let is_read = self.apache.is_there() && !self.apache.is_abandoned();
                self.log.outbox.borrow_mut().finish(is_read);
                return Ok(());
            }
            self.administration.tell(|name, since| self.fleet.outcome(name, since));
            let telemetry = self.telemetry.act(|| self.fleet.status(), self.fleet.umask());
            self.notifier.tell(|| match self.apache.is_stopping() {
                true => Condition::Stopping,
                false => self.fleet.condition(),
            });
            let times = self.apache.wake().into_iter().chain(self.notifier.wake()).chain(telemetry);
            let ready = self.wait(wake.into_iter().chain(times).min())?;
            self.carry_records();
            if self.signals.child_changed() {
                self.fleet.reap().into_iter().for_each(|stranger| self.telemetry.ended(stranger));
            }
            // Daemons first: what Apache wants may depend on who is ready by now.
            for pid in ready.daemons {
                self.fleet.hear(pid);
            }
            if ready.control {
                self.hear_apache();
            }
            if ready.administration {
                self.hear_administrators();
            }
        }
    }

    /// Waits for something to happen.
    fn wait(&self, wake: Option<Instant>) -> io::Result<Ready> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(self.apache.source());
        let first_administrator = fds.len();
        fds.extend(self.administration.sources().map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN)));
        let first_output = fds.len();
        let outbox = self.log.outbox.borrow();
        fds.extend(outbox.source().map(|apache| PollFd::from_borrowed_fd(apache, PollFlags::OUT)));
        let mut wake = wake.into_iter().chain(outbox.wake()).min();
        if outbox.has_room() {
            fds.extend(self.fleet.outputs.sources().map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN)));
            wake = wake.into_iter().chain(self.fleet.outputs.wake()).min();
        }
        let first_daemon = fds.len();
        let (mut pids, mut late) = (Vec::new(), Vec::new());
        for (pid, channel, heard_at) in self.fleet.channels() {
            if let Some(moment) = heard_at {
                wake = wake.into_iter().chain([moment]).min();
                late.push(pid);
                continue;
            }
            let write = if channel.wants_to_send() { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(channel, PollFlags::IN | write));
            pids.push(pid);
        }
        match alarm::wait_for(|| poll(&mut fds, timeout(wake).as_ref())) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(error.into()),
        }
        let happened = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let heard = pids.into_iter().zip(&fds[first_daemon..]).filter(|(_, fd)| happened(fd)).map(|(pid, _)| pid);
        let daemons = heard.chain(late).collect();
        let control = fds[1..first_administrator].iter().any(happened);
        Ok(Ready { control, administration: fds[first_administrator..first_output].iter().any(happened), daemons })
    }

    /// Reads the output of processes, and sends it to Apache.
    fn carry_records(&mut self) {
        self.log.outbox.borrow_mut().send();
        if self.log.outbox.borrow().has_room() {
            self.fleet.outputs.hear();
        }
    }

    fn hear_apache(&mut self) {
        self.apache.listen();
        while let Some(configuration) = self.apache.next(self.fleet.configuration(), &self.log) {
            self.log = configuration.log.clone();
            self.telemetry.configure(&configuration);
            self.fleet.configure(configuration);
            self.open_administration();
        }
    }

    fn open_administration(&mut self) {
        let Some(configuration) = self.fleet.configuration() else { return };
        if let Err(error) = with_all(|| self.administration.open(configuration)) {
            let Configuration { socket_prefix, parent, .. } = configuration;
            let path = control_path(socket_prefix, *parent);
            let text = format!("the administrator's socket '{path}' cannot be made: {error}");
            self.log.record(&processes::NO_ADMINISTRATION, &text);
        }
    }

    fn hear_administrators(&mut self) {
        let groups: Vec<Vec<u8>> = self.fleet.groups().map(|group| group.name().to_vec()).collect();
        for name in self.administration.hear(&groups, || self.fleet.status()) {
            self.fleet.restart(&name);
        }
    }
}

/// The descriptors that have something to read.
#[derive(Debug, Default)]
struct Ready {
    control: bool,
    administration: bool,
    daemons: Vec<Pid>,
}

/// The time until `wake`; without that the wait has no end.
fn timeout(wake: Option<Instant>) -> Option<Timespec> {
    Timespec::try_from(wake?.saturating_duration_since(Instant::now())).ok()
}
