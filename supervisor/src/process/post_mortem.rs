//! The one record about a daemon process that does not end as it should: what happened, what the process was doing, and
//! where its threads were.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use wsgi_wire::control::Reason;
use wsgi_wire::recorder::{self, Recording};

use super::exit;

/// The facts about a process that has ended, or is to end because it has exceeded a limit.
#[derive(Debug)]
pub struct End<'a> {
    /// The name of the process in messages.
    pub label: &'a str,
    /// The configuration it belonged to.
    pub generation: u32,
    /// The age of the process.
    pub age: Duration,
    /// The exit status, once the process has ended.
    pub status: Option<ExitStatus>,
    /// The reason for which the process is to end, as far as this supervisor knows it.
    pub reason: Option<Reason>,
    /// The limit that goes with the reason; 0 if there is none.
    pub limit: u64,
    /// Whether the log already has a record that the process is to end.
    pub told: bool,
    /// Whether this supervisor has killed the process.
    pub killed: bool,
    /// Whether the kernel has killed processes for want of memory meanwhile.
    pub memory: bool,
    /// The contents of its flight recorder.
    pub recording: &'a Recording,
}

impl End<'_> {
    /// Whether the process was killed for want of memory, as far as that can be told.
    pub fn is_out_of_memory(&self) -> bool {
        self.memory && !self.killed && self.status.and_then(|status| status.signal()) == Some(libc::SIGKILL)
    }

    /// Returns the record; `None` if the end was in order. `now` is in seconds since the epoch.
    pub fn record(&self, now: f64) -> Option<String> {
        let what = self.what()?;
        let (label, age, generation) = (self.label, self.age.as_secs_f64(), self.generation);
        let mut text = format!("{label} {what}, {age:.1} s after its start in configuration {generation}.\n");
        if self.recording.reason.is_none() || self.recording.report.is_empty() {
            text += &recorder::list(&self.recording.activities, now);
        }
        match stacks(&self.recording.report).trim_end() {
            "" => text += "Its Python stacks could not be had.",
            stacks => text += stacks,
        }
        Some(text)
    }

    /// Says what happened, if that is worth a record.
    fn what(&self) -> Option<String> {
        let reason = self.recording.reason.or(self.reason).filter(|reason| reason.is_incident() && !self.told);
        let excess = reason.map(|reason| excess(reason, self.limit));
        let Some(status) = self.status else { return excess.map(|excess| excess + " and is replaced") };
        match (excess, self.end(status)) {
            (Some(excess), Some(end)) => Some(format!("{excess}: it {end}")),
            (Some(excess), None) => Some(excess + " and has ended"),
            (None, end) => end,
        }
    }

    /// Says how the process ended, if that was not in order.
    fn end(&self, status: ExitStatus) -> Option<String> {
        let ordered = self.reason.is_some();
        match status.signal() {
            // That it was stuck, and where, is known.
            _ if self.told && (self.recording.forced || self.killed || self.is_over_the_hard_limit(status)) => None,
            _ if self.recording.forced => Some("did not end within its shutdown-timeout and was ended by force".into()),
            _ if self.killed => Some("did not end within its shutdown-timeout and was killed".into()),
            Some(_) if self.is_out_of_memory() => {
                Some(format!("{}, possibly by the kernel, which was out of memory", exit::describe(status)))
            }
            // Somebody was in a hurry, and it was on its way out with nothing left to do.
            Some(libc::SIGTERM | libc::SIGKILL) if ordered && !self.is_executing() => None,
            Some(_) => Some(exit::describe(status)),
            None if exit::has_told_why(status) => None,
            None if (ordered || status.success()) && !self.is_executing() => None,
            None => Some(exit::describe(status)),
        }
    }

    /// Whether the kernel has ended the process at the hard limit of `cpu-time-limit`, which comes a little after the
    /// soft one.
    fn is_over_the_hard_limit(&self, status: ExitStatus) -> bool {
        self.reason == Some(Reason::CpuTimeLimit) && status.signal() == Some(libc::SIGKILL)
    }

    /// Whether requests have ended with the process.
    fn is_executing(&self) -> bool {
        self.recording.activities.iter().any(|activity| activity.number > 0)
    }
}

/// Says what a process has done that ends for this reason.
fn excess(reason: Reason, limit: u64) -> String {
    let option = reason.name().replace('_', "-") + &if limit > 0 { format!("={limit}") } else { String::new() };
    match reason {
        Reason::DeadlockTimeout => format!("has not given back the GIL within {option}"),
        Reason::StuckLoop => {
            let option = if limit > 0 { format!("deadlock-timeout={limit}") } else { "deadlock-timeout".to_owned() };
            format!("has not gone back to its event loop within {option}")
        }
        Reason::StartupTimeout => format!("has not loaded its script within {option}"),
        _ => format!("has exceeded {option}"),
    }
}

/// Leaves out of a report what helps nobody: threads that were in no Python code but ours, and threads that were named
/// before.
fn stacks(report: &str) -> String {
    // One interpreter's threads follow another's without an empty line between.
    let parts = report.replace("\nThread 0x", "\n\nThread 0x").replace("\nCurrent thread 0x", "\n\nCurrent thread 0x");
    let (mut seen, mut kept) = (HashSet::new(), String::new());
    for part in parts.split("\n\n").map(|part| part.trim_matches('\n')).filter(|part| !part.is_empty()) {
        let ident = part.lines().next().and_then(|line| line.split_once("hread 0x")?.1.split(' ').next());
        let top = part.lines().nth(1).unwrap_or_default();
        let ours = top.contains("<no Python frame>") || top.contains("/mod_wsgi/_daemon.py\"");
        if ident.is_none_or(|ident| !ours && seen.insert(ident)) {
            kept += part;
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(status: i32, reason: Option<Reason>, change: impl FnOnce(&mut End<'_>), recording: &Recording) -> String {
        let mut end = End {
            label: "daemon process 12 of group 'site'",
            generation: 2,
            age: Duration::from_millis(12_345),
            status: Some(ExitStatus::from_raw(status)),
            reason,
            limit: 0,
            told: false,
            killed: false,
            memory: false,
            recording,
        };
        change(&mut end);
        end.record(0.0).unwrap_or_default()
    }

    fn first_line(status: i32, reason: Option<Reason>, change: impl FnOnce(&mut End<'_>)) -> String {
        record(status, reason, change, &Recording::default()).lines().next().unwrap_or_default().to_owned()
    }

    const GIL: &str = "has not given back the GIL within deadlock-timeout=5 and is replaced";

    #[test]
    fn each_end_is_told_in_words() {
        let start = "daemon process 12 of group 'site' ";
        let end = ", 12.3 s after its start in configuration 2.";
        let check = |status: i32, reason, change: &dyn Fn(&mut End<'_>), what: &str| {
            assert_eq!(first_line(status, reason, |e| change(e)), format!("{start}{what}{end}"));
        };
        check(11, None, &|_| {}, "was ended by signal 11 (SIGSEGV)");
        check(7 << 8, None, &|_| {}, "ended with exit code 7");
        let memory = "was ended by signal 9 (SIGKILL), possibly by the kernel, which was out of memory";
        check(9, None, &|end| end.memory = true, memory);
        check(9, None, &|end| end.killed = true, "did not end within its shutdown-timeout and was killed");
        check(0, Some(Reason::RequestTimeout), &|_| {}, "has exceeded request-timeout and has ended");
        let crash = "has not loaded its script within startup-timeout: it did not end within its shutdown-timeout and was killed";
        check(9, Some(Reason::StartupTimeout), &|end| end.killed = true, crash);
        check(0, Some(Reason::DeadlockTimeout), &|end| (end.status, end.limit) = (None, 5), GIL);
        check(6, Some(Reason::MaximumRequests), &|_| {}, "was ended by signal 6 (SIGABRT)");
    }

    #[test]
    fn an_end_in_order_has_no_record() {
        for (status, reason) in [
            (0, Reason::ShutdownSignal),
            (1 << 8, Reason::ScriptReload),
            (3 << 8, Reason::ScriptReload),
            (15, Reason::ShutdownSignal),
            (9, Reason::ScriptReload),
        ] {
            assert_eq!(first_line(status, Some(reason), |_| {}), "");
        }
    }

    #[test]
    fn who_was_told_of_before_has_no_other_record_unless_it_crashes() {
        let told = |end: &mut End<'_>| (end.told, end.killed) = (true, true);
        assert_eq!(first_line(9, Some(Reason::RequestTimeout), told), "");
        assert_eq!(first_line(9, Some(Reason::CpuTimeLimit), |end| end.told = true), "");
        assert!(first_line(11, Some(Reason::RequestTimeout), |end| end.told = true).contains("signal 11"));
    }

    #[test]
    fn what_was_noted_for_a_reason_is_not_told_twice() {
        let recording = Recording {
            reason: Some(Reason::RequestTimeout),
            report: "It was executing:\n  GET / for 9.0 s\nThread 0x01 (most recent call first):\n  File \"a\"\n"
                .into(),
            ..Recording::default()
        };
        let text = record(0, None, |_| {}, &recording);
        assert_eq!(text.matches("executing").count(), 1);
        assert!(text.ends_with("GET / for 9.0 s\nThread 0x01 (most recent call first):\n  File \"a\""), "{text}");
    }

    #[test]
    fn threads_without_python_code_and_threads_seen_before_are_left_out() {
        let report = "Fatal Python error: Aborted\n\nThread 0x01 (most recent call first):\n  File \"a\"\n\n\
             Current thread 0x02 (most recent call first):\n  <no Python frame>\n\
             Thread 0x02 (most recent call first):\n  File \"b\"\nThread 0x01 (most recent call first):\n  File \"a\"\n";
        assert_eq!(
            stacks(report),
            "Fatal Python error: Aborted\nThread 0x01 (most recent call first):\n  File \"a\"\n\
             Thread 0x02 (most recent call first):\n  File \"b\"\n"
        );
        assert_eq!(stacks(""), "");
    }
}
