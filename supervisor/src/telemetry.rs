//! Telemetry for a collector of OpenTelemetry, where `WSGIOpenTelemetry` names one: this program sends what the process
//! table has to the exporter ([`crate::exporter`]), which speaks with the collector, and keeps that running. They are
//! two processes so that nobody outside is spoken to with root's rights, and nobody waits for that here.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::io::retry_on_intr;
use rustix::net::{SendFlags, send};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use wsgi_unix::user::Ids;
use wsgi_wire::codec::Wire;
use wsgi_wire::descriptors::exporter as contract;
use wsgi_wire::export::{Datagram, Exporter, Figures};
use wsgi_wire::limits::EXPORTED;
use wsgi_wire::messages::processes;
use wsgi_wire::status::{Durations, Status};

use crate::configuration::{Configuration, Exported};
use crate::log::Log;
use crate::privileges::with_all;
use crate::sys::child::{self, Steps};
use crate::sys::descriptors::duplicate;

/// How long after the end of an exporter the next one is started.
const PAUSE: Duration = Duration::from_secs(5);

/// How long the exporter has for the last report.
const LAST: Duration = Duration::from_millis(1500);

/// The path of this program.
const PROGRAM: &str = "/proc/self/exe";

/// The collector of the configuration in force, if it has one.
#[derive(Debug, Default)]
pub struct Telemetry(Option<Collector>);

/// A collector, and the process that speaks with it.
#[derive(Debug)]
struct Collector {
    exported: Rc<Exported>,
    /// The command line of the exporter.
    words: Vec<String>,
    exporter: Option<Running>,
    /// The moment from which on the exporter may be started.
    start: Instant,
    /// The moment at which the figures are to be sent.
    due: Instant,
    log: Log,
}

/// The exporter's process.
#[derive(Debug)]
struct Running {
    pid: Pid,
    /// The pipe that makes the exporter end when it is closed.
    _pipe: OwnedFd,
}

impl Telemetry {
    /// Takes a new configuration. An exporter with the same settings goes on; another one sends what it has, and ends.
    pub fn configure(&mut self, configuration: &Configuration) {
        let before = self.0.take();
        let Some(exported) = configuration.exported.clone() else { return };
        let format = configuration.log.style.format;
        let words = Exporter { export: exported.export.clone(), format }.words();
        let kept = before.filter(|before| before.words == words && before.exported.user == exported.user);
        let now = Instant::now();
        let interval = Duration::from_secs(exported.export.interval.into());
        let log = configuration.log.clone();
        self.0 = Some(match kept {
            Some(kept) => Collector { exported, log, ..kept },
            None => Collector { exported, words, exporter: None, start: now, due: now + interval, log },
        });
    }

    /// Does what is to be done now. Returns when to look again.
    pub fn act(&mut self, status: impl FnOnce() -> Status, umask: u32) -> Option<Instant> {
        let collector = self.0.as_mut()?;
        let now = Instant::now();
        if collector.exporter.is_none() && collector.start <= now {
            collector.start = now + PAUSE;
            match with_all(|| collector.spawn(umask)) {
                Ok(running) => collector.exporter = Some(running),
                Err(error) => collector.log.record(
                    &processes::NO_EXPORTER,
                    &format!("the exporter of WSGIOpenTelemetry cannot be started: {error}; another try follows"),
                ),
            }
        }
        if collector.due <= now {
            collector.due = now + Duration::from_secs(collector.exported.export.interval.into());
            collector.tell(status());
        }
        let start = collector.exporter.is_none().then_some(collector.start);
        start.into_iter().chain([collector.due]).min()
    }

    /// Notes that a process of no group has ended.
    pub fn ended(&mut self, pid: Pid) {
        let Some(collector) = &mut self.0 else { return };
        if collector.exporter.as_ref().is_some_and(|running| running.pid == pid) {
            collector.exporter = None;
            let text = "the exporter of WSGIOpenTelemetry has ended; another one is started";
            collector.log.record(&processes::EXPORTER_ENDED, text);
        }
    }

    /// Sends the last figures when the server stops, and gives the exporter a moment for them.
    pub fn finish(&mut self, status: impl FnOnce() -> Status) {
        let Some(mut collector) = self.0.take() else { return };
        collector.tell(status());
        let Some(Running { pid, _pipe: pipe }) = collector.exporter.take() else { return };
        drop(pipe);
        let deadline = Instant::now() + LAST;
        while matches!(retry_on_intr(|| waitpid(Some(pid), WaitOptions::NOHANG)), Ok(None)) {
            if Instant::now() >= deadline {
                // It is a child of this program that has not been waited for, so the number is still its own.
                let _ = with_all(|| kill_process(pid, Signal::KILL));
                let _ = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Collector {
    /// Starts the exporter: this program, as Apache's user, without any other right, without its environment.
    fn spawn(&self, umask: u32) -> io::Result<Running> {
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        let mut command = Command::new(PROGRAM);
        command.arg0("mod_wsgi-exporter").args(&self.words).env_clear();
        command.stdin(Stdio::from(theirs)).stdout(Stdio::null());
        let identity = self.exported.user.map(|(uid, gid)| Ids { uid, gid, groups: vec![gid] });
        let descriptors = vec![(contract::TOLD, duplicate(&self.exported.receives)?)];
        child::prepare(
            &mut command,
            Steps {
                nice: None,
                limits: Vec::new(),
                chroot: None,
                identity,
                directory: Some(c"/".to_owned()),
                umask: umask as libc::mode_t,
                new_privileges: false,
                descriptors,
            },
        );
        let started = command.spawn()?;
        Ok(Running { pid: Pid::from_child(&started), _pipe: ours })
    }

    fn tell(&self, Status { started, groups, .. }: Status) {
        for mut group in groups {
            // No metric is made of it, and the datagram has a bound.
            group.processes.iter_mut().for_each(|process| process.lag = Durations::default());
            let told = Datagram::Figures(Figures { started, group }).to_bytes();
            debug_assert!(told.len() <= EXPORTED);
            // An exporter that does not listen hears all of it the next time.
            let _ = send(&self.exported.sends, &told, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }
}
