//! Error logs of Apache.

use crate::wait::eventually;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for a line of a log.
const DEADLINE: Duration = Duration::from_secs(10);

/// A log file that a server writes.
pub struct Log {
    path: PathBuf,
    /// Texts of warnings and errors that the test is about.
    announced: Mutex<Vec<String>>,
}

impl Log {
    /// The log in this file, which need not exist yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, announced: Mutex::default() }
    }

    /// Announces warnings and errors of ours: a server whose log has others fails its test at the end. What a test
    /// waits for in a log is announced by that. A text is a part of one record, or several that follow each other in
    /// it, with `…` between them: `WSGI1307: …has exceeded rss-limit`.
    pub fn expect(&self, texts: &[&str]) {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        announced.extend(texts.iter().copied().map(String::from));
    }

    /// The records of ours at `warn` or worse that nobody has announced.
    pub(crate) fn unannounced(&self) -> Vec<String> {
        let unexpected = |record: &String| is_complaint(record) && !self.announces(record);
        records(&self.text()).into_iter().filter(unexpected).collect()
    }

    /// Whether the test has announced a record.
    pub(crate) fn announces(&self, record: &str) -> bool {
        let announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        announced.iter().any(|text| has(record, text))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it now; empty while the file does not exist.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).unwrap_or_default()).into_owned()
    }

    /// Waits until the log has this text and gives the whole log.
    pub fn wait_for(&self, text: &str) -> String {
        self.expect(&[text]);
        let is_there = |log: &String| match text.contains('…') {
            true => records(log).iter().any(|record| has(record, text)),
            false => log.contains(text),
        };
        let found = eventually(DEADLINE, || Some(self.text()).filter(is_there));
        found.unwrap_or_else(|| panic!("{text:?} is not in {}:\n{}", self.path.display(), self.text()))
    }

    /// The records that have this text; waits for the first one.
    pub fn records_with(&self, text: &str) -> Vec<String> {
        records(&self.wait_for(text)).into_iter().filter(|record| has(record, text)).collect()
    }
}

/// Whether a record has the parts of a text, which `…` separates, one behind the other.
fn has(record: &str, text: &str) -> bool {
    let mut rest = record;
    text.split('…').all(|part| rest.split_once(part).map(|(_, after)| rest = after).is_some())
}

/// Cuts a log into its records. A record starts with Apache's time stamp, or is a line of JSON; line feeds inside one
/// may be escaped as `\n`.
#[must_use]
pub fn records(log: &str) -> Vec<String> {
    let mut records: Vec<String> = Vec::new();
    for line in log.lines() {
        match records.last_mut() {
            Some(record) if !line.starts_with(['[', '{']) => {
                record.push('\n');
                record.push_str(line);
            }
            _ => records.push(line.to_owned()),
        }
    }
    records
}

/// Whether a record is one of the module's at `warn` or worse, as text or as JSON.
fn is_complaint(record: &str) -> bool {
    // A server that is stopped while it has requests says so for each of them: which it has then is no test's matter.
    const STOPPED: &str = "Apache stops";
    const LEVELS: [&str; 5] = ["emerg", "alert", "crit", "error", "warn"];
    let text = |level: &&str| record.starts_with('[') && record.contains(&format!("] [wsgi:{level}] "));
    // There it says which of them are the application's own words.
    let is_json = record.starts_with('{') && record.contains(r#""stream":"mod_wsgi""#);
    let json = |level: &&str| is_json && record.contains(&format!(r#""level":"{level}""#));
    LEVELS.iter().any(|level| text(level) || json(level)) && !record.contains(STOPPED)
}

#[cfg(test)]
mod tests {
    use super::{Log, is_complaint, records};

    #[test]
    fn our_complaints_must_be_announced_and_nobody_elses() {
        let ours = "[Sun Nov 22 1] [wsgi:error] [pid 1:tid 2] [script /a] no application";
        assert!(
            is_complaint(ours) && is_complaint(r#"{"level":"warn","message":"no application","stream":"mod_wsgi"}"#)
        );
        for other in ["[Sun Nov 22 1] [core:error] AH1", "[Sun Nov 22 1] [wsgi:notice] it says [wsgi:error]", "{}"] {
            assert!(!is_complaint(other), "{other}");
        }
        let scratch = crate::scratch::Scratch::new();
        scratch.write("log", ours);
        let log = Log::new(scratch.path().join("log"));
        assert_eq!(log.unannounced(), [ours]);
        log.expect(&["no application…error"]);
        assert_eq!(log.unannounced(), [ours], "the parts are there in another order");
        log.expect(&["error…no application"]);
        assert!(log.unannounced().is_empty());
        assert_eq!(log.records_with("error…no application"), [ours]);
    }

    #[test]
    fn a_record_goes_up_to_the_next_time_stamp() {
        let log = "[Sun Nov 22] [error] one\nTraceback\n  File\n[Sun Nov 22] [info] two\n";
        assert_eq!(records(log), ["[Sun Nov 22] [error] one\nTraceback\n  File", "[Sun Nov 22] [info] two"]);
    }
}
