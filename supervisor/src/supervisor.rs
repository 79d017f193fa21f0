//! The event loop: waits for messages, signals and times, and carries out what [`lifecycle::decide`] says.

use std::collections::HashMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, wait};
use rustix::stdio::dup2_stderr;
use rustix::thread::futex;
use wsgi_wire::codec::Malformed;
use wsgi_wire::control::{Outcome, Reason};
use wsgi_wire::frame::Kind;
use wsgi_wire::messages::{Topic, processes};
use wsgi_wire::table::{control_path, group_key};

use crate::administration::Administration;
use crate::channel::Channel;
use crate::configuration::{Configuration, Group, Invalid};
use crate::group_history::Standing;
use crate::leftovers;
use crate::lifecycle::{self, Action, Cause, Goal};
use crate::listener;
use crate::log::Log;
use crate::memory::MemoryKills;
use crate::orphans::{self, Orphans};
use crate::output::Outputs;
use crate::privileges::with_all;
use crate::process::Process;
use crate::process::dialogue::{News, RESTLESS};
use crate::process::exit;
use crate::process::spawn::{self, Shared};
use crate::signals::Signals;
use crate::sys::alarm;
use crate::sys::table::Table;

/// How long a process takes to write down its stacks.
const WRITING: Duration = Duration::from_millis(20);

/// How long Apache may take to read a configuration. If it takes longer, processes end too early, and others start.
const READING: Duration = Duration::from_secs(wsgi_wire::limits::READING as u64);

/// A process that has been ready for less time than this when it ends by its own word gives the group a pause.
const SHORT_LIFE: Duration = Duration::from_secs(3);

/// Everything this program knows.
#[derive(Debug)]
pub struct Supervisor {
    /// To the Apache parent, until it closes it.
    control: Option<Channel>,
    shared: Shared,
    signals: Signals,
    log: Log,
    configuration: Option<Rc<Configuration>>,
    processes: Vec<Process>,
    standings: HashMap<Vec<u8>, Standing>,
    /// How many processes can do something at a time.
    parallel: usize,
    orphans: Orphans,
    memory_kills: MemoryKills,
    outputs: Outputs,
    administration: Administration,
    stopping: bool,
    /// While Apache reads a configuration: when it must have come. Without the module in it none comes.
    awaited: Option<Instant>,
}

impl Supervisor {
    /// A supervisor that waits for its first configuration.
    pub fn new(control: Channel, shared: Shared, signals: Signals, log: Log) -> Self {
        let orphans = Orphans::find(&shared.table);
        Self {
            control: Some(control),
            shared,
            signals,
            log,
            configuration: None,
            processes: Vec::new(),
            standings: HashMap::new(),
            parallel: std::thread::available_parallelism().map_or(1, usize::from),
            orphans,
            memory_kills: MemoryKills::watch(),
            outputs: Outputs::default(),
            administration: Administration::default(),
            stopping: false,
            awaited: None,
        }
    }

    /// Runs until it is told to stop and all processes are gone.
    ///
    /// # Errors
    /// If the system's means of waiting fail, which leaves nothing sensible to do.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            let wake = self.act();
            if (self.stopping || self.is_abandoned()) && self.processes.is_empty() && self.orphans.is_empty() {
                let count = leftovers::end();
                if count > 0 {
                    self.log.info(&format!("{count} processes that applications had started were ended"));
                }
                self.outputs.hear();
                let is_read = self.control.is_some() && !self.is_abandoned();
                self.log.outbox.borrow_mut().finish(is_read);
                return Ok(());
            }
            self.report();
            let ready = self.wait(wake)?;
            self.carry_records();
            self.take_signals();
            // Daemons first: what Apache wants may depend on who is ready by now.
            for pid in ready.daemons {
                self.hear_daemon(pid);
            }
            if ready.control {
                self.hear_apache();
            }
            if ready.administration {
                self.hear_administrators();
            }
        }
    }

    /// Does what is to be done now; returns when to look again.
    fn act(&mut self) -> Option<Instant> {
        let orphans = self.orphans.release(&self.shared.table).then(|| Instant::now() + orphans::INTERVAL);
        loop {
            let (actions, wake) = self.decide();
            if actions.is_empty() {
                return wake.into_iter().chain(orphans).min();
            }
            for action in actions {
                self.perform(action);
            }
        }
    }

    /// Whether Apache has read a configuration in which this module is not any more.
    fn is_abandoned(&self) -> bool {
        self.awaited.is_some_and(|limit| Instant::now() >= limit)
    }

    fn decide(&self) -> (Vec<Action>, Option<Instant>) {
        // Before that there is nothing but what an earlier supervisor has left, and nobody knows yet whether it is wanted.
        let Some(configuration) = &self.configuration else { return Default::default() };
        let ours = self.processes.iter().map(Process::facts);
        let processes: Vec<_> = ours.chain(self.orphans.facts(configuration, &self.shared.table)).collect();
        let groups: Vec<_> = configuration.groups.iter().map(|group| self.facts(group)).collect();
        let Configuration { generation, since, .. } = **configuration;
        let (groups, awaited) = if self.is_abandoned() { (&[][..], None) } else { (&groups[..], self.awaited) };
        let goal = match self.stopping {
            true => Goal::Stop,
            false => Goal::Run { generation, parallel: self.parallel, since, groups },
        };
        let (actions, wake) = lifecycle::decide(goal, &processes, Instant::now());
        (actions, wake.into_iter().chain(awaited).min())
    }

    fn facts<'a>(&self, group: &'a Group) -> lifecycle::Group<'a> {
        let standing = self.standings.get(group.name());
        lifecycle::Group {
            name: group.name(),
            processes: group.settings.processes as usize,
            service: group.is_service(),
            not_before: standing.and_then(|standing| standing.crashes.not_before()),
            replace_not_before: standing.and_then(|standing| standing.refusals.not_before()),
        }
    }

    fn perform(&mut self, action: Action) {
        if self.orphans.perform(action, &self.shared.table) {
            return;
        }
        match action {
            Action::Start(index) => self.start(index),
            Action::Drain(slot) => self.with(slot, |process, table| {
                process
                    .group
                    .log
                    .info(&format!("{} finishes its requests and ends: it is not needed any more", process.label()));
                if process.drain(table).is_err() {
                    process.stop(table, Reason::GracefulSignal);
                }
            }),
            Action::Stop(slot, cause) => self.stop(slot, cause),
            Action::Kill(slot) => self.with(slot, |process, _| {
                process.take_stacks();
                std::thread::sleep(WRITING);
                process.kill();
            }),
            Action::ReportSlowStart(slot) => self.with(slot, |process, _| {
                process.group.log.record(
                    &processes::SLOW_START,
                    &format!(
                        "{} is still loading its scripts after {} seconds; requests that only it can serve wait",
                        process.label(),
                        process.started.elapsed().as_secs()
                    ),
                );
                process.slow_start_reported();
            }),
        }
    }

    fn stop(&mut self, slot: usize, cause: Cause) {
        self.with(slot, |process, table| {
            match cause {
                Cause::NotNeeded => {}
                // The record about its end tells of it.
                Cause::SlowStart => process.take_stacks(),
                Cause::SlowDrain => process.group.log.info(&format!(
                    "{} takes longer to finish its requests than its graceful-timeout and is stopped",
                    process.label()
                )),
            }
            process.stop(table, cause.reason());
        });
        let late = self.processes.iter().find(|process| process.slot == slot && cause == Cause::SlowStart);
        if let Some((group, started)) = late.map(|process| (Rc::clone(&process.group), process.started)) {
            self.refused(&group, started, Vec::new());
        }
    }

    fn with(&mut self, slot: usize, change: impl FnOnce(&mut Process, &Table)) {
        if let Some(process) = self.processes.iter_mut().find(|process| process.slot == slot) {
            change(process, &self.shared.table);
        }
    }

    fn start(&mut self, index: usize) {
        let Some(configuration) = self.configuration.clone() else { return };
        let Some(group) = configuration.groups.get(index) else { return };
        let now = Instant::now();
        let standing = self.standings.entry(group.name().to_vec()).or_default();
        match spawn::spawn(group, &configuration, standing, &self.shared) {
            Ok(spawned) => {
                let (process, output) = Process::new(spawned, Rc::clone(group), configuration.generation);
                self.outputs.add(process.pid.as_raw_pid() as u32, Rc::clone(group), output);
                group.log.info(&format!("{} has started", process.label()));
                process.check_priority();
                self.processes.push(process);
            }
            Err(error) => {
                group.log.record(
                    &processes::NO_PROCESS_STARTED,
                    &format!("process group '{}' gets no process: {error}", group.label()),
                );
                standing.crashes.ended(now, None, now);
                self.set_failing(group, true);
                self.refused(group, now, Vec::new());
            }
        }
    }

    /// Waits for something to happen.
    fn wait(&self, wake: Option<Instant>) -> io::Result<Ready> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(self.control.as_ref().map(|control| PollFd::new(control, PollFlags::IN)));
        let first_administrator = fds.len();
        fds.extend(self.administration.sources().map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN)));
        let first_output = fds.len();
        let outbox = self.log.outbox.borrow();
        fds.extend(outbox.source().map(|apache| PollFd::from_borrowed_fd(apache, PollFlags::OUT)));
        let mut wake = wake.into_iter().chain(outbox.wake()).min();
        if outbox.has_room() {
            fds.extend(self.outputs.sources().map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN)));
            wake = wake.into_iter().chain(self.outputs.wake()).min();
        }
        let first_daemon = fds.len();
        let (mut pids, mut late) = (Vec::new(), Vec::new());
        for process in &self.processes {
            let Some(channel) = process.dialogue.channel() else { continue };
            if let Some(moment) = process.dialogue.heard_at() {
                wake = wake.into_iter().chain([moment]).min();
                late.push(process.pid);
                continue;
            }
            let write = if channel.wants_to_send() { PollFlags::OUT } else { PollFlags::empty() };
            fds.push(PollFd::new(channel, PollFlags::IN | write));
            pids.push(process.pid);
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

    /// Takes what processes say, and gives it to Apache.
    fn carry_records(&mut self) {
        self.log.outbox.borrow_mut().send();
        if self.log.outbox.borrow().has_room() {
            self.outputs.hear();
        }
    }

    fn take_signals(&mut self) {
        if self.signals.child_changed() {
            self.reap();
        }
    }

    /// Hears of every process that has ended.
    fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => self.ended(pid, ExitStatus::from_raw(status.as_raw())),
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn ended(&mut self, pid: Pid, status: ExitStatus) {
        let Some(index) = self.processes.iter().position(|process| process.pid == pid) else { return };
        let mut process = self.processes.swap_remove(index);
        // Its last words may still be in its pipe and its sockets.
        self.outputs.ended(pid.as_raw_pid() as u32);
        process.dialogue.listen();
        while let Ok(Some(news)) = process.dialogue.news() {
            self.learn(&mut process, news);
        }
        if let Some(entry) = self.shared.table.entry(process.slot) {
            entry.set_free();
        }
        let (ending, record) = process.post_mortem(status, self.memory_kills.any_new());
        if let Some(group) = self.shared.table.group(group_key(process.group.name())) {
            group.endings.add(ending);
        }
        match record {
            Some(text) => process.group.log.record(&processes::PROCESS_INCIDENT, &text),
            None => {
                let has_told = exit::has_told_why(status);
                let topic = if has_told { (&processes::PROCESS_REFUSES).into() } else { Topic::INFO };
                process.group.log.record(topic, &format!("{} {}", process.label(), exit::describe(status)));
            }
        }
        if !process.is_leaving() {
            let standing = self.standings.entry(process.group.name().to_vec()).or_default();
            standing.crashes.ended(process.started, process.ready, Instant::now());
            if process.ready.is_none() {
                if standing.crashes.is_failing() || exit::has_told_why(status) {
                    self.set_failing(&process.group, true);
                }
                self.refused(&process.group, process.started, Vec::new());
            }
        }
    }

    /// Says in the table whether the processes of a group do not start.
    fn set_failing(&self, group: &Group, failing: bool) {
        if let Some(record) = self.shared.table.group(group_key(group.name())) {
            record.set_failing(failing);
        }
    }

    fn hear_apache(&mut self) {
        let Some(mut control) = self.control.take() else { return };
        let open = control.receive();
        match self.obey(&mut control) {
            Ok(()) if open => self.control = Some(control),
            Ok(()) => self.stopping = true,
            Err(error) => {
                self.log.record(&processes::OTHER_INSTALLATION, &format!(
                    "the Apache module is not of the same installation as this supervisor ({error}); all daemon processes stop"
                ));
                self.stopping = true;
            }
        }
    }

    /// Does what Apache has said so far.
    fn obey(&mut self, control: &mut Channel) -> Result<(), Invalid> {
        while let Some((kind, payload)) = control.next()? {
            match kind {
                Kind::Configure => {
                    let before = self.configuration.as_deref();
                    let configuration = Configuration::read(&payload, control, before, &self.log.outbox)?;
                    self.configure(configuration);
                }
                Kind::Reading => self.awaited = Some(Instant::now() + READING),
                Kind::Stop => self.stopping = true,
                other => return Err(Malformed::Unknown(other as u64).into()),
            }
        }
        Ok(())
    }

    fn configure(&mut self, configuration: Configuration) {
        self.awaited = None;
        self.log = configuration.log.clone();
        // A graceful restart after log rotation brings a new file.
        if let Err(error) = dup2_stderr(&*configuration.main_log) {
            self.log.record(&processes::LOG_NOT_USED, &format!("the new error log cannot be used: {error}"));
        }
        if self.configuration.is_none() {
            let Configuration { socket_prefix, parent, .. } = &configuration;
            let in_use = self.orphans.meet(&configuration, &self.shared.table);
            with_all(|| listener::remove_stale(socket_prefix, *parent, &in_use));
        }
        if let Err(error) = with_all(|| self.administration.open(&configuration)) {
            let path = control_path(&configuration.socket_prefix, configuration.parent);
            self.log.record(
                &processes::NO_ADMINISTRATION,
                &format!("the administrator's socket '{path}' cannot be made: {error}"),
            );
        }
        self.standings.values_mut().for_each(|standing| standing.reconfigured(configuration.generation));
        // What has failed may work with the new settings.
        configuration.groups.iter().for_each(|group| self.set_failing(group, false));
        self.configuration = Some(Rc::new(configuration));
    }

    fn hear_administrators(&mut self) {
        let groups: Vec<Vec<u8>> = self.groups().map(|group| group.name().to_vec()).collect();
        for name in self.administration.hear(&groups) {
            if let Some(standing) = self.standings.get_mut(&name) {
                standing.may_try_again();
            }
            for process in self.processes.iter_mut().filter(|process| process.group.name() == name) {
                match process.group.is_service() {
                    // Nothing may run beside it, and nobody waits for it.
                    true => process.stop(&self.shared.table, Reason::GracefulSignal),
                    false => process.dialogue.outdated(Reason::GracefulSignal),
                }
            }
        }
    }

    fn groups(&self) -> impl Iterator<Item = &Rc<Group>> {
        self.configuration.iter().flat_map(|configuration| &configuration.groups)
    }

    /// Tells administrators what has become of what they wanted.
    fn report(&mut self) {
        let mut administration = std::mem::take(&mut self.administration);
        administration.tell(|name, since| self.outcome(name, since));
        self.administration = administration;
    }

    /// What has become of the restart of a group at this time; `None` while it goes on.
    fn outcome(&self, name: &[u8], since: Instant) -> Option<Outcome> {
        let Some(group) = self.groups().find(|group| group.name() == name) else { return Some(Outcome::Unknown) };
        let all = || self.processes.iter().filter(|process| process.group.name() == name);
        let serves = |process: &&Process| process.serves() || group.is_service() && !process.is_leaving();
        let new = all().filter(serves).filter(|process| process.started >= since);
        let failed = self.standings.get(name).and_then(|standing| standing.refused).is_some_and(|last| last >= since);
        if failed || new.clone().any(|process| process.serves() && !process.works) {
            return Some(Outcome::Failed);
        }
        let old = all().any(|process| serves(&process) && process.started < since);
        (!old && new.count() >= group.settings.processes as usize).then_some(Outcome::Replaced)
    }

    fn hear_daemon(&mut self, pid: Pid) {
        let Some(index) = self.processes.iter().position(|process| process.pid == pid) else { return };
        // Taken out for the moment: what it says may concern the others.
        let mut process = self.processes.swap_remove(index);
        process.dialogue.flush();
        let open = process.dialogue.listen();
        let outcome = loop {
            match process.dialogue.news() {
                Ok(Some(news)) => self.learn(&mut process, news),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = outcome {
            let text = format!("{} has sent something malformed ({error}) and is stopped", process.label());
            process.group.log.record(&processes::MALFORMED_PROCESS, &text);
            let standing = self.standings.entry(process.group.name().to_vec()).or_default();
            standing.crashes.left(process.started, process.ready, SHORT_LIFE, Instant::now());
            process.expel(&self.shared.table);
        }
        process.complain();
        if outcome.is_err() || !open {
            process.dialogue.hang_up();
        }
        self.processes.push(process);
    }

    /// What one process says, which is not among the others at this moment.
    fn learn(&mut self, process: &mut Process, news: News) {
        let group = Rc::clone(&process.group);
        let standing = self.standings.entry(group.name().to_vec()).or_default();
        match news {
            News::Ready(failures) => self.loaded(process, failures),
            News::Loaded(script) => {
                if group.settings.daemon.allows(&script.script) {
                    standing.wants(script, process.generation);
                }
                // Whatever it could not load at first, it can by now.
                process.works = true;
            }
            News::Retiring { reason: Reason::ScriptReload, first, anew } => {
                if anew {
                    standing.may_try_again();
                }
                standing.crashes.left(process.started, process.ready, RESTLESS, Instant::now());
                // The others have loaded the same script, if not all of them: they need not find out one by one.
                let others = self.processes.iter_mut().filter(|other| first && other.group.name() == group.name());
                others.for_each(|other| other.dialogue.outdated(Reason::ScriptReload));
            }
            News::Wanted if group.settings.daemon.server_metrics => self.pass_on_wish(),
            News::Wanted => {}
            News::Retiring { first, .. } => {
                standing.crashes.left(process.started, process.ready, RESTLESS, Instant::now());
                if first {
                    self.report_incident(process);
                }
            }
            News::Draining(reason) => {
                standing.crashes.left(process.started, process.ready, SHORT_LIFE, Instant::now());
                self.report_incident(process);
                let text = format!("{} finishes its requests and ends: {}", process.label(), reason.name());
                process.group.log.info(&text);
            }
        }
    }

    /// A process waits for Apache's scoreboard: one of Apache's children writes it down.
    fn pass_on_wish(&self) {
        let wanted = &self.shared.table.header().wanted;
        wanted.fetch_add(1, Ordering::AcqRel);
        // Who is not waiting sees the number.
        let _ = futex::wake(wanted, futex::Flags::empty(), 1);
    }

    /// Says why a process is replaced, if that is no part of an ordinary life.
    fn report_incident(&self, process: &mut Process) {
        if let Some(text) = process.incident() {
            process.group.log.record(&processes::PROCESS_INCIDENT, &text);
        }
    }

    /// A process has loaded its scripts, as far as it could.
    fn loaded(&mut self, process: &mut Process, failures: Vec<u64>) {
        if process.is_leaving() {
            // It has said in the same breath that it ends.
            return;
        }
        let works = failures.is_empty();
        let stand_in = self.processes.iter().find(|other| other.can_stand_in(&process.group));
        if lifecycle::admits(!works, stand_in.is_some() || self.orphans.serve(&process.group)) {
            process.admit(&self.shared.table, works);
            self.set_failing(&process.group, false);
            if works {
                self.standings.entry(process.group.name().to_vec()).or_default().works();
            }
            return;
        }
        let serving = stand_in.map_or_else(|| "an earlier one".to_owned(), Process::label);
        process.stop(&self.shared.table, Reason::ShutdownSignal);
        let (group, label) = (Rc::clone(&process.group), process.label());
        if self.refused(&group, process.started, failures) {
            group.log.record(&processes::SCRIPTS_FAIL, &format!(
                "{label} cannot load its scripts (see above) and is given up; {serving} goes on with the code that it has, until a script changes or another try succeeds"
            ));
        }
    }

    /// A process of the group cannot take over: those that have waited for it serve on. Whether the log does not tell of the reason yet.
    fn refused(&mut self, group: &Group, started: Instant, failures: Vec<u64>) -> bool {
        let standing = self.standings.entry(group.name().to_vec()).or_default();
        let news = standing.refused(started, failures);
        for process in self.processes.iter_mut().filter(|process| process.group.name() == group.name()) {
            if process.dialogue.wants_later(started) {
                // What failed was an older version of the code.
                standing.may_try_again();
            } else if process.dialogue.resume().is_err() {
                process.stop(&self.shared.table, Reason::ShutdownSignal);
            }
        }
        news
    }
}

/// What has something to read.
#[derive(Debug, Default)]
struct Ready {
    control: bool,
    administration: bool,
    daemons: Vec<Pid>,
}

/// The time until `wake`; without one, as long as it takes.
fn timeout(wake: Option<Instant>) -> Option<Timespec> {
    Timespec::try_from(wake?.saturating_duration_since(Instant::now())).ok()
}
