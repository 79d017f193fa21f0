//! The messages of daemon processes, and what follows from each.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::thread::futex;
use wsgi_wire::control::{Ready, Reason};
use wsgi_wire::messages::processes;

use super::Fleet;
use crate::configuration::Group;
use crate::lifecycle;
use crate::process::Process;
use crate::process::dialogue::{News, RESTLESS};

/// A process that ends by its own word when it has been ready for less time than this gives the group a pause.
const SHORT_LIFE: Duration = Duration::from_secs(3);

impl Fleet {
    /// Reads the messages of a process.
    pub fn hear(&mut self, pid: Pid) {
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
            let history = self.histories.entry(process.group.name().to_vec()).or_default();
            history.crashes.left(process.started, process.ready, SHORT_LIFE, Instant::now());
            process.expel(&self.shared.table);
        }
        process.complain();
        if outcome.is_err() || !open {
            process.dialogue.hang_up();
        }
        self.processes.push(process);
    }

    /// Acts on the messages of one process, which is taken out of the others for this time.
    pub(super) fn learn(&mut self, process: &mut Process, news: News) {
        let group = Rc::clone(&process.group);
        let history = self.histories.entry(group.name().to_vec()).or_default();
        match news {
            News::Ready(ready) => self.loaded(process, ready),
            News::Loaded(script) => {
                if group.settings.daemon.allows(&script.script) {
                    history.wants(script, process.generation);
                }
                // Whatever it could not load at first, it can by now.
                process.works = true;
            }
            News::Retiring { reason: Reason::ScriptReload, first, anew } => {
                if anew {
                    history.may_try_again();
                }
                history.crashes.left(process.started, process.ready, RESTLESS, Instant::now());
                // The others have loaded the same script, if not all of them: they need not find out one by one.
                let others = self.processes.iter_mut().filter(|other| first && other.group.name() == group.name());
                others.for_each(|other| other.dialogue.outdated(Reason::ScriptReload));
            }
            News::ScoreboardWanted if group.settings.daemon.server_metrics => self.pass_on_wish(),
            News::ScoreboardWanted => {}
            News::Retiring { first, .. } => {
                history.crashes.left(process.started, process.ready, RESTLESS, Instant::now());
                if first {
                    self.report_incident(process);
                }
            }
            News::Draining(reason) => {
                history.crashes.left(process.started, process.ready, SHORT_LIFE, Instant::now());
                self.report_incident(process);
                let text = format!("{} finishes its requests and ends: {}", process.label(), reason.name());
                process.group.log.info(&text);
            }
        }
    }

    /// Passes on that a process waits for Apache's scoreboard: an Apache child will write it.
    fn pass_on_wish(&self) {
        let wanted = &self.shared.table.header().wanted;
        wanted.fetch_add(1, Ordering::AcqRel);
        // Who is not waiting sees the number.
        let _ = futex::wake(wanted, futex::Flags::empty(), 1);
    }

    /// Logs why a process is replaced, if that is no part of an ordinary life.
    fn report_incident(&self, process: &mut Process) {
        if let Some(text) = process.incident() {
            process.group.log.record(&processes::PROCESS_INCIDENT, &text);
        }
    }

    /// Handles that a process has loaded its scripts, as far as it could.
    fn loaded(&mut self, process: &mut Process, ready: Ready) {
        if process.is_leaving() {
            // It has said in the same breath that it ends.
            return;
        }
        let Ready { failures, interface } = ready;
        let works = failures.is_empty();
        let stand_in = self.processes.iter().find(|other| other.can_stand_in(&process.group));
        if lifecycle::admits(!works, stand_in.is_some() || self.orphans.serve(&process.group)) {
            process.admit(&self.shared.table, works, interface);
            self.set_failing(&process.group, false);
            if works {
                self.histories.entry(process.group.name().to_vec()).or_default().works();
            }
            return;
        }
        let serving = stand_in.map_or_else(|| "an earlier one".to_owned(), Process::label);
        process.stop(&self.shared.table, Reason::ShutdownSignal);
        let (group, label) = (Rc::clone(&process.group), process.label());
        if self.refused(&group, process.started, failures) {
            let text = format!(
                "{label} cannot load its scripts (see above) and is given up; {serving} goes on with the code that it has, until a script changes or another try succeeds"
            );
            group.log.record(&processes::SCRIPTS_FAIL, &text);
        }
    }

    /// Handles that a process of the group cannot take over: the processes that have waited for it serve on. Returns
    /// whether the log has no record of the reason yet.
    pub(super) fn refused(&mut self, group: &Group, started: Instant, failures: Vec<u64>) -> bool {
        let history = self.histories.entry(group.name().to_vec()).or_default();
        let news = history.refused(started, failures);
        for process in self.processes.iter_mut().filter(|process| process.group.name() == group.name()) {
            if process.dialogue.wants_later(started) {
                // What failed was an older version of the code.
                history.may_try_again();
            } else if process.dialogue.resume().is_err() {
                process.stop(&self.shared.table, Reason::ShutdownSignal);
            }
        }
        news
    }
}
