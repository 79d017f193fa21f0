//! A daemon process as long as it lives.

pub mod birth;
pub mod exit;
mod interpreter;
mod post_mortem;
mod recorder;
pub mod spawn;

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, getpriority_process, kill_process};
use wsgi_wire::codec::{Malformed, Wire};
use wsgi_wire::control::{Drain, Draining, Ready, Reason, Retiring};
use wsgi_wire::frame::Kind;
use wsgi_wire::recorder::{Recording, STACKS_SIGNAL};
use wsgi_wire::settings::Preload;
use wsgi_wire::table::{Ending, Failure, State};

use self::post_mortem::End;
use self::recorder::Recorder;
use self::spawn::Spawned;
use crate::channel::Channel;
use crate::configuration::Group;
use crate::lifecycle::{self, Phase};
use crate::listener::SocketFile;
use crate::output::Prepared;
use crate::sys::signal::send_to_thread;
use crate::sys::table::Table;

/// What a process has to say.
#[derive(Debug)]
pub enum News {
    /// It could take requests. Digests of the reports about scripts that it could not load.
    Ready(Vec<u64>),
    /// A request has come for this script.
    Loaded(Preload),
    /// It asks to be replaced.
    Retiring {
        /// Why.
        reason: Reason,
        /// Whether nobody has asked for that before.
        first: bool,
    },
    /// It ends.
    Draining(Reason),
    /// It waits for Apache's scoreboard.
    Wanted,
}

/// The wish of a process to be replaced.
#[derive(Debug, Clone, Copy)]
struct Wish {
    reason: Reason,
    since: Instant,
    holds: bool,
}

/// A running daemon process.
#[derive(Debug)]
pub struct Process {
    /// Its slot.
    pub slot: usize,
    /// Its process id.
    pub pid: Pid,
    /// What it was started with.
    pub group: Rc<Group>,
    /// The configuration it belongs to.
    pub generation: u32,
    /// When it was started.
    pub started: Instant,
    /// When it became ready.
    pub ready: Option<Instant>,
    /// Its control socket, until it closes it.
    pub channel: Option<Channel>,
    /// Whether it has been able to load its scripts.
    pub works: bool,
    phase: Phase,
    since: Instant,
    wish: Option<Wish>,
    patient: bool,
    /// Why it ends, once it was told to or has said so.
    reason: Option<Reason>,
    recorder: Recorder,
    /// Whether it ends by its own word or doing.
    announced: bool,
    /// Whether there was a record that it is to end.
    told: bool,
    /// Goes with it.
    _socket: SocketFile,
}

impl Process {
    /// A process that has just been spawned, and what it says.
    pub fn new(spawned: Spawned, group: Rc<Group>, generation: u32) -> (Self, Prepared) {
        let Spawned { slot, pid, channel, socket, recorder, started, output } = spawned;
        // A service has nothing to get ready for: it works from its first moment.
        let ready = group.is_service().then_some(started);
        let process = Self {
            slot,
            pid,
            group,
            generation,
            started,
            ready,
            channel: Some(channel),
            works: false,
            phase: Phase::Starting { reported: false },
            since: started,
            wish: None,
            patient: false,
            reason: None,
            recorder,
            announced: false,
            told: false,
            _socket: socket,
        };
        (process, output)
    }

    /// What [`lifecycle::decide`] has to know of it.
    pub fn facts(&self) -> lifecycle::Process<'_> {
        lifecycle::Process {
            slot: self.slot,
            group: self.group.name(),
            generation: self.generation,
            service: self.group.is_service(),
            phase: self.phase,
            since: self.since,
            retiring: self.wish.is_some(),
            holds: self.wish.is_some_and(|wish| wish.holds),
            patient: self.patient,
            by_itself: self.announced || self.wish.is_some(),
            limits: self.group.limits,
        }
    }

    /// Its name in messages.
    pub fn label(&self) -> String {
        format!("daemon process {} of group '{}'", self.pid.as_raw_pid(), self.group.label())
    }

    /// Its scheduling priority, if it was wanted another: `(wanted, actual)`.
    pub fn refused_priority(&self) -> Option<(i32, i32)> {
        let wanted = self.group.settings.spawn.nice?;
        let actual = getpriority_process(Some(self.pid)).ok()?;
        (actual != wanted).then_some((wanted, actual))
    }

    /// Whether its end is nobody's fault: it was told to end or has said that it will.
    pub fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Draining | Phase::Stopping | Phase::Killed)
    }

    /// Why it has ended with this status: what the status page counts, and the record about it if that was not in order. `memory`: the kernel has
    /// killed processes for want of memory.
    pub fn post_mortem(&self, status: ExitStatus, memory: bool) -> (Ending, Option<String>) {
        let (label, recording) = (self.label(), self.recorder.read());
        let end = End { memory, ..self.end(&label, Some(status), &recording) };
        (self.ending(status, end.is_out_of_memory()), end.record(now()))
    }

    /// The record that it is to end, if the reason that it has announced is no part of an ordinary life.
    pub fn incident(&mut self) -> Option<String> {
        let (label, recording) = (self.label(), self.recorder.read());
        let record = self.end(&label, None, &recording).record(now());
        self.told |= record.is_some();
        record
    }

    fn end<'a>(&self, label: &'a str, status: Option<ExitStatus>, recording: &'a Recording) -> End<'a> {
        let settings = &self.group.settings.daemon;
        let limit = match recording.reason.or(self.reason) {
            Some(Reason::RequestTimeout) => settings.request_timeout.into(),
            Some(Reason::StartupTimeout) => settings.startup_timeout.into(),
            Some(Reason::DeadlockTimeout) => settings.deadlock_timeout.into(),
            Some(Reason::RssLimit) => settings.rss_limit,
            _ => 0,
        };
        End {
            label,
            generation: self.generation,
            age: self.started.elapsed(),
            status,
            reason: self.reason,
            limit,
            told: self.told,
            killed: self.phase == Phase::Killed,
            memory: false,
            recording,
        }
    }

    fn ending(&self, status: ExitStatus, out_of_memory: bool) -> Ending {
        match self.reason {
            _ if out_of_memory => Ending::Failed(Failure::OutOfMemory),
            _ if self.phase == Phase::Killed => Ending::Failed(Failure::Killed),
            Some(reason) => Ending::Orderly(reason),
            None if self.ready.is_none() => Ending::Failed(Failure::FailedAtStart),
            None if status.signal() == Some(Signal::KILL.as_raw()) => Ending::Failed(Failure::Killed),
            None => Ending::Failed(Failure::Crash),
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    /// Reads what it has to say; [`news`](Self::news) tells. `false`: it has closed its end, and what is read is all.
    pub fn listen(&mut self) -> bool {
        self.channel.as_mut().is_none_or(Channel::receive)
    }

    /// It will not say more.
    pub fn hang_up(&mut self) {
        self.channel = None;
    }

    /// The next that it has said. One after the other: what the first leads to decides what the second means.
    ///
    /// # Errors
    /// It does not keep to the protocol.
    pub fn news(&mut self) -> Result<Option<News>, Malformed> {
        let Some(channel) = &mut self.channel else { return Ok(None) };
        while let Some((kind, payload)) = channel.next()? {
            let news = match (kind, self.phase) {
                (Kind::Ready, Phase::Starting { .. }) => News::Ready(Ready::from_bytes(&payload)?.failures),
                (Kind::Loaded, _) => News::Loaded(Preload::from_bytes(&payload)?),
                (Kind::Wanted, _) => News::Wanted,
                (Kind::Retiring, Phase::Ready) => {
                    let Retiring { reason, holds } = Retiring::from_bytes(&payload)?;
                    let first = self.wish.is_none();
                    self.wish = Some(Wish { reason, since: Instant::now(), holds });
                    News::Retiring { reason, first }
                }
                (Kind::Draining, Phase::Starting { .. } | Phase::Ready) => {
                    let reason = Draining::from_bytes(&payload)?.reason;
                    self.reason = Some(reason);
                    (self.phase, self.since) = (Phase::Draining, Instant::now());
                    self.announced = true;
                    News::Draining(reason)
                }
                // Late news: its messages and our signals have crossed.
                (Kind::Ready | Kind::Retiring | Kind::Draining, _) => continue,
                (other, _) => return Err(Malformed::Unknown(other as u64)),
            };
            return Ok(Some(news));
        }
        Ok(None)
    }

    /// Lets requests come. `works`: it could load its scripts.
    pub fn admit(&mut self, table: &Table, works: bool) {
        self.works = works;
        self.enter(Phase::Ready);
        self.ready = Some(self.since);
        if let Some(slot) = table.slot(self.slot, &self.group.pages) {
            slot.admit();
        }
    }

    /// Whether it could go on in place of a process of this group that cannot load its scripts.
    pub fn can_stand_in(&self, group: &Group) -> bool {
        self.phase == Phase::Ready && self.works && self.group.is_like(group)
    }

    /// Whether it takes requests.
    pub fn serves(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Its code may be of yesterday: it is to be replaced as if it had asked for it.
    pub fn outdated(&mut self, reason: Reason) {
        if self.serves() && self.wish.is_none() {
            self.wish = Some(Wish { reason, since: Instant::now(), holds: false });
        }
    }

    /// Whether it wants a successor that is started later than this.
    pub fn wants_later(&self, started: Instant) -> bool {
        self.wish.is_some_and(|wish| wish.since > started)
    }

    /// No successor could take over: if it has been waiting for one, it serves on.
    pub fn resume(&mut self) -> Result<(), Malformed> {
        let Some(wish) = self.wish.as_mut().filter(|wish| wish.holds) else { return Ok(()) };
        wish.holds = false;
        self.channel.as_mut().map_or(Ok(()), |channel| channel.send(Kind::Resume, &[]))
    }

    /// Tells it to finish what it has. It answers by ending.
    pub fn drain(&mut self, table: &Table) -> Result<(), Malformed> {
        self.leave(table);
        self.enter(Phase::Draining);
        let reason = self.wish.map_or(Reason::GracefulSignal, |wish| wish.reason);
        self.reason = Some(reason);
        // Nobody but Apache has asked for this, and Apache waits for its own requests, too.
        self.patient = self.wish.is_none();
        let message = Drain { reason, patient: self.patient };
        self.channel.as_mut().map_or(Ok(()), |channel| channel.send(Kind::Drain, &message.to_bytes()))
    }

    /// Stops it. `reason` counts unless there was one before.
    pub fn stop(&mut self, table: &Table, reason: Reason) {
        self.leave(table);
        self.reason.get_or_insert(reason);
        self.enter(Phase::Stopping);
        self.signal(Signal::TERM);
    }

    /// Stops it because it does not keep to the protocol: that is as much its own doing as if it had said that it ends.
    pub fn expel(&mut self, table: &Table) {
        self.announced = true;
        self.stop(table, Reason::ShutdownSignal);
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.enter(Phase::Killed);
        self.signal(Signal::KILL);
    }

    /// Makes it write down where its threads are, whatever they do.
    pub fn take_stacks(&self) {
        // The main thread is in the main interpreter; another one may be loading a script in another.
        send_to_thread(self.pid, self.pid.as_raw_pid() as u32, STACKS_SIGNAL);
        for activity in self.recorder.read().activities.iter().filter(|activity| activity.number == 0) {
            send_to_thread(self.pid, activity.thread, STACKS_SIGNAL);
        }
    }

    /// Notes that its slow start has been reported.
    pub fn slow_start_reported(&mut self) {
        self.phase = Phase::Starting { reported: true };
    }

    /// Apache children choose it no more, at once: it will say so itself, but later.
    fn leave(&self, table: &Table) {
        if let Some(slot) = table.slot(self.slot, &self.group.pages) {
            slot.set_state(State::Draining);
        }
    }

    fn signal(&self, signal: Signal) {
        // It is a child that was not waited for yet, so the pid is its own. If it has ended meanwhile, all is well.
        let _ = kill_process(self.pid, signal);
    }
}

/// The time in seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
