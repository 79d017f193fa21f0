//! The history of a process group, which outlives its processes: their failures, and the scripts that they have loaded.

use std::time::Instant;

use wsgi_wire::limits;
use wsgi_wire::settings::Preload;

use crate::backoff::Backoff;

/// How many scripts of a group successors load before they take requests. The first request for any other script loads
/// it.
const MOST_SCRIPTS: usize = 200;

/// For how many configurations a script is remembered that no request comes for: after that it is probably not part of
/// the site any more.
const FORGET: u32 = 3;

/// The history of a group.
#[derive(Debug, Default)]
pub struct GroupHistory {
    /// The back-off after processes that have ended by themselves.
    pub crashes: Backoff,
    /// The back-off after successors that could not take over.
    pub refusals: Backoff,
    /// When the last of these successors was given up.
    pub refused: Option<Instant>,
    /// Digests of the reports about scripts that cannot be imported which the log has already.
    pub known_failures: Vec<u64>,
    /// The scripts that requests came for, with the number of the last configuration in which one did.
    scripts: Vec<(Preload, u32)>,
}

impl GroupHistory {
    /// Notes that a request has come for this script.
    pub fn wants(&mut self, script: Preload, generation: u32) {
        let size = |script: &Preload| script.script.len() + script.application_group.len() + script.callable.len();
        let is_short = script.script.len() <= limits::SCRIPT_PATH
            && script.application_group.len().max(script.callable.len()) <= limits::SCRIPT_NAME;
        let all: usize = self.scripts.iter().map(|(known, _)| size(known)).sum();
        if let Some((_, seen)) = self.scripts.iter_mut().find(|(known, _)| *known == script) {
            *seen = generation;
        } else if self.scripts.len() < MOST_SCRIPTS && is_short && all + size(&script) <= limits::SCRIPTS {
            self.scripts.push((script, generation));
        }
    }

    /// The scripts that a new process loads.
    pub fn scripts(&self) -> Vec<Preload> {
        self.scripts.iter().map(|(script, _)| script.clone()).collect()
    }

    /// Notes that there is a new configuration: what has failed may work with it.
    pub fn reconfigured(&mut self, generation: u32) {
        self.scripts.retain(|(_, seen)| seen.wrapping_add(FORGET) >= generation);
        let scripts = std::mem::take(&mut self.scripts);
        *self = Self { scripts, ..Self::default() };
    }

    /// Notes that a successor cannot take over. Returns whether the log has no record of this yet.
    pub fn refused(&mut self, started: Instant, failures: Vec<u64>) -> bool {
        self.refusals.refused(started, Instant::now());
        self.refused = Some(Instant::now());
        let news = failures != self.known_failures;
        if !failures.is_empty() {
            self.known_failures = failures;
        }
        news
    }

    /// Notes that a script may have changed, so that another successor may be tried.
    pub fn may_try_again(&mut self) {
        self.refusals = Backoff::default();
    }

    /// Notes that a process has loaded everything.
    pub fn works(&mut self) {
        self.known_failures.clear();
        self.may_try_again();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(name: &str) -> Preload {
        Preload { script: name.into(), application_group: "".into(), callable: "application".into() }
    }

    #[test]
    fn scripts_that_nobody_asks_for_are_forgotten() {
        let mut history = GroupHistory::default();
        history.wants(script("a"), 1);
        history.wants(script("b"), 1);
        history.wants(script("b"), 4);
        history.reconfigured(4);
        assert_eq!(history.scripts(), [script("a"), script("b")]);
        history.reconfigured(5);
        assert_eq!(history.scripts(), [script("b")]);
    }

    #[test]
    fn what_is_remembered_of_scripts_has_a_bound() {
        let mut history = GroupHistory::default();
        history.wants(script(&"x".repeat(limits::SCRIPT_PATH + 1)), 1);
        let long = || "x".repeat(limits::SCRIPT_NAME + 1).as_str().into();
        history.wants(Preload { application_group: long(), ..script("a") }, 1);
        history.wants(Preload { callable: long(), ..script("a") }, 1);
        assert_eq!(history.scripts(), []);
        for n in 0..1000 {
            history.wants(script(&format!("{n:04000}")), 1);
        }
        let size: usize = history.scripts().iter().map(|script| script.script.len()).sum();
        assert!(size > limits::SCRIPTS / 2 && size <= limits::SCRIPTS, "{size}");
    }

    #[test]
    fn one_failure_is_news_once_until_something_works() {
        let (mut history, now) = (GroupHistory::default(), Instant::now());
        assert!(history.refused(now, vec![7]) && history.refusals.not_before().is_some());
        assert!(!history.refused(now, vec![7]));
        assert!(history.refused(now, vec![8]));
        history.works();
        assert!(history.refusals.not_before().is_none() && history.refused(now, vec![8]));
    }
}
