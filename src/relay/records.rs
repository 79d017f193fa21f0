//! What a daemon process logs in its requests: as much as a process may, and under its own name.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use wsgi_wire::budget::Budget;
use wsgi_wire::limits::{LOG_BURST, LOG_LINES, LOG_PREFIX, LOG_RATE};
use wsgi_wire::record::{Level, LogRecord};

use super::client::Client;

/// Who logs, and what is left of how much it may.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// The process, as the process table knows it.
    pub process: u32,
    /// Its group's.
    pub budget: &'s Budget,
}

impl Source<'_> {
    /// Writes a record, or leaves it out and says so.
    pub fn log(&self, client: &mut impl Client, record: LogRecord) {
        let lines = record.message.iter().filter(|b| **b == b'\n').take(LOG_LINES).count() + 1;
        let refused = match self.budget.take(record.length() + lines * LOG_PREFIX, now()) {
            true => self.budget.refused(),
            false if self.budget.is_told() => return,
            false => {
                let text = format!(
                    "the process group logs more than {} MiB at once and {} MiB a second in its requests; what exceeds that is left out",
                    LOG_BURST >> 20,
                    LOG_RATE >> 20
                );
                return client.tell(Level::Warn, &text);
            }
        };
        if refused > 0 {
            client.tell(Level::Warn, &format!("{refused} bytes of log were left out"));
        }
        let is_thread = |thread| Path::new(&format!("/proc/{}/task/{thread}", self.process)).exists();
        client.log(&record.of_process(self.process, is_thread));
    }
}

/// A clock that never goes back.
fn now() -> Duration {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    BEGUN.get_or_init(Instant::now).elapsed()
}
