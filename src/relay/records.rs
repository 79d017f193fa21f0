//! Records that a daemon process writes about its requests: no more than its group may write, and under the process's
//! own name.
#![forbid(unsafe_code)]

use std::net::Shutdown;
use std::path::Path;

use wsgi_unix::clock;
use wsgi_wire::budget::{Budget, Rate};
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::Kind;
use wsgi_wire::limits::{LOG_BURST, LOG_RATE};
use wsgi_wire::messages::{Message, internal};
use wsgi_wire::record::LogRecord;

use super::connection::Connection;
use super::inbox::{Inbox, Received};
use super::own_record::ours;
use super::peer::RequestContext;

/// The process that logs, and its group's budget for that.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// The process, as the process table knows it.
    pub process: u32,
    /// What the group has logged, in all children together.
    pub used: &'s Budget,
    /// How much the group may log.
    pub rate: Rate,
}

impl Source<'_> {
    /// Writes a record, or leaves it out and says so.
    pub fn log(&self, client: &mut impl RequestContext, record: LogRecord) {
        let refused = match self.used.take(self.rate, client.log_cost(&record), clock::monotonic()) {
            true => self.used.refused(),
            false if self.used.is_told() => return,
            false => {
                let text = format!(
                    "the process group logs more than {} MiB at once and {} MiB a second for each of its processes in its requests; what exceeds that is left out",
                    LOG_BURST >> 20,
                    LOG_RATE >> 20
                );
                return self.tell(client, &internal::REQUESTS_LOG_TOO_MUCH, &text);
            }
        };
        if refused > 0 {
            self.tell(client, &internal::LOG_LEFT_OUT, &format!("{refused} bytes of log were left out"));
        }
        let is_thread = |thread| Path::new(&format!("/proc/{}/task/{thread}", self.process)).exists();
        client.log(&record.of_process(self.process, is_thread));
    }

    /// Writes the records that the process has sent already, though nobody takes its answer any more. What it logs from
    /// now on it cannot send here, and knows that: it sends it to the supervisor.
    pub fn take_last(&self, connection: &Connection, inbox: &mut Inbox, client: &mut impl RequestContext) {
        // Where the process is gone, its last records are there nevertheless.
        let _ = connection.stream.shutdown(Shutdown::Read);
        loop {
            while let Ok(Some(frame)) = inbox.first() {
                let size = frame.size();
                let is_ours = frame.exchange == connection.exchange();
                if let (Kind::Log, true, Ok(record)) = (frame.kind, is_ours, LogRecord::from_bytes(frame.payload)) {
                    self.log(client, record);
                }
                inbox.consume(size);
            }
            // The rest of a frame that is not whole will never come; this ends with what the socket holds.
            if !matches!(inbox.receive(&connection.stream, false), Ok(Received::Bytes)) {
                return;
            }
        }
    }

    /// Writes a record of this process's own, which counts against the group that has made it necessary.
    fn tell(&self, client: &mut impl RequestContext, message: &'static Message, text: &str) {
        let record = ours(message, text);
        self.used.charge(self.rate, client.log_cost(&record), clock::monotonic());
        client.log(&record);
    }
}
