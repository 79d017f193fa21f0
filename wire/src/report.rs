//! Records that no connection of a request carries: those of a daemon process outside of requests, or after the client
//! of one has gone, and those of the supervisor. They go through the supervisor to any Apache child that is free, which
//! writes them as Apache's own.
//!
//! Each is one message on a socket that keeps their boundaries, so none can be mistaken for a part of another.

use crate::codec::{Bytes, message};
use crate::limits;
use crate::pieces::written;
use crate::record::LogRecord;

message! {
    /// Daemon → supervisor; embedded engine → Apache: a record of a process.
    pub struct ProcessRecord {
        /// The application group that it comes from, if that is known; empty is the main interpreter.
        pub application_group: Option<Bytes>,
        /// The request that it is about, whose connection is gone.
        pub request: Option<RequestName>,
        /// The record itself.
        pub record: LogRecord,
    }
}

message! {
    /// A request, as an engine names it.
    pub struct RequestName {
        /// Apache's log id.
        pub id: Bytes,
        /// The path of its URL.
        pub path: Bytes,
        /// The script that answers it.
        pub script: Bytes,
    }
}

message! {
    /// Supervisor → Apache: a record, with the process and group that it comes from by the supervisor's knowledge,
    /// whatever the process says.
    pub struct GroupRecord {
        /// The process group in whose virtual host's log it is written; empty is the main server's.
        pub group: Bytes,
        /// The daemon process that has sent it; `None` is the supervisor.
        pub process: Option<u32>,
        /// The record itself.
        pub said: ProcessRecord,
    }
}

impl From<LogRecord> for ProcessRecord {
    fn from(record: LogRecord) -> Self {
        Self { application_group: None, request: None, record }
    }
}

impl ProcessRecord {
    /// How many bytes of log the record takes at the most.
    pub fn cost(&self) -> usize {
        let request = self.request.iter().flat_map(|request| [&request.id, &request.path, &request.script]);
        self.record.cost(self.application_group.iter().chain(request).map(|name| written(name)).sum())
    }

    /// Cuts the record into as many as are needed for none to be too long to travel; names that are too long for any
    /// log are cut.
    pub fn into_pieces(mut self) -> Vec<Self> {
        let request =
            self.request.iter_mut().flat_map(|request| [&mut request.id, &mut request.path, &mut request.script]);
        self.application_group.iter_mut().chain(request).for_each(|name| name.0.truncate(limits::JSON_NAME));
        let Self { application_group, request, record } = self;
        let piece = |record| Self { application_group: application_group.clone(), request: request.clone(), record };
        record.into_pieces().into_iter().map(piece).collect()
    }
}

impl GroupRecord {
    /// The text before its message in a log that has no fields: whose record it is.
    pub fn prefix(&self) -> Vec<u8> {
        let mut prefix = Vec::new();
        if let Some(process) = self.process {
            prefix.extend_from_slice(format!("[daemon {process} of '").as_bytes());
            prefix.extend_from_slice(&self.group);
            prefix.extend_from_slice(b"'] ");
        }
        if let Some(request) = &self.said.request {
            prefix.extend_from_slice(&[b"[request ", &*request.id, b" ", &*request.path, b"] "].concat());
        }
        prefix
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Wire;
    use crate::message::Topic;
    use crate::record::{Origin, Writer};

    #[test]
    fn the_longest_record_fits_into_a_message() {
        let name = || Bytes(vec![b'n'; 2 * limits::JSON_NAME]);
        let origin = Some(Origin { logger: name(), file: name(), line: 1 });
        let writer = Writer { pid: 1, thread: 1 };
        let text = "x".repeat(limits::LOG_RECORD);
        let record = LogRecord { origin, ..LogRecord::ours(Topic::INFO, writer, &text) };
        let request = Some(RequestName { id: name(), path: name(), script: name() });
        for said in (ProcessRecord { application_group: Some(name()), request, record }).into_pieces() {
            assert!(GroupRecord { group: name(), process: Some(1), said }.to_bytes().len() <= limits::LOG_MESSAGE);
        }
    }

    #[test]
    fn a_record_without_fields_names_its_process() {
        let record = LogRecord::ours(Topic::INFO, Writer { pid: 1, thread: 1 }, "text");
        let mut said = GroupRecord { group: "site".into(), process: Some(7), said: record.into() };
        assert_eq!(said.prefix(), b"[daemon 7 of 'site'] ");
        let request = RequestName { id: "id".into(), path: "/a".into(), script: "/s".into() };
        said.said.request = Some(request);
        assert_eq!(said.prefix(), b"[daemon 7 of 'site'] [request id /a] ");
        said.process = None;
        said.said.request = None;
        assert_eq!(said.prefix(), b"");
    }
}
