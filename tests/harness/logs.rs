//! Error logs of Apache.

use crate::wait::eventually;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a line of a log.
const DEADLINE: Duration = Duration::from_secs(10);

/// A log file that a server writes.
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// The log in this file, which need not exist yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
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
        let found = eventually(DEADLINE, || Some(self.text()).filter(|log| log.contains(text)));
        found.unwrap_or_else(|| panic!("{text:?} is not in {}:\n{}", self.path.display(), self.text()))
    }

    /// The records that have this text; waits for the first one.
    pub fn records_with(&self, text: &str) -> Vec<String> {
        records(&self.wait_for(text)).into_iter().filter(|record| record.contains(text)).collect()
    }
}

/// Cuts a log into its records. A record starts with Apache's time stamp; line feeds inside one may be escaped as `\n`.
#[must_use]
pub fn records(log: &str) -> Vec<String> {
    let mut records: Vec<String> = Vec::new();
    for line in log.lines() {
        match records.last_mut() {
            Some(record) if !line.starts_with('[') => {
                record.push('\n');
                record.push_str(line);
            }
            _ => records.push(line.to_owned()),
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::records;

    #[test]
    fn a_record_goes_up_to_the_next_time_stamp() {
        let log = "[Sun Nov 22] [error] one\nTraceback\n  File\n[Sun Nov 22] [info] two\n";
        assert_eq!(records(log), ["[Sun Nov 22] [error] one\nTraceback\n  File", "[Sun Nov 22] [info] two"]);
    }
}
