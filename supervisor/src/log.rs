//! Records of this program's own, about one group or about all.

use std::cell::RefCell;
use std::rc::Rc;

use wsgi_wire::messages::Topic;
use wsgi_wire::record::{Format, Level, LogRecord, Writer};
use wsgi_wire::report::{GroupRecord, ProcessRecord};

use crate::outbox::{Outbox, Style};

/// A log that takes records up to a level.
#[derive(Debug, Clone)]
pub struct Log {
    /// The highest level that is written (`LogLevel` of the server).
    pub level: Level,
    /// The form in which its server wants records.
    pub style: Style,
    /// The process group that the records are about; empty if they are about none.
    pub group: Vec<u8>,
    /// The records that are on their way to Apache.
    pub outbox: Rc<RefCell<Outbox>>,
}

impl Log {
    /// The log that is used before there is a configuration.
    pub fn provisional() -> Self {
        let style = Style { format: Format::Text, vhost: Vec::new() };
        Self { level: Level::Info, style, group: Vec::new(), outbox: Rc::default() }
    }

    /// Writes one record of this process's own.
    pub fn record(&self, topic: impl Into<Topic>, text: &str) {
        // This process has one thread, whose number is the process's.
        let pid = std::process::id();
        for piece in ProcessRecord::from(LogRecord::ours(topic, Writer { pid, thread: pid }, text)).into_pieces() {
            self.put(None, piece);
        }
    }

    /// Writes a record of a process of the group.
    pub fn of_process(&self, process: u32, said: ProcessRecord) {
        self.put(Some(process), said);
    }

    fn put(&self, process: Option<u32>, said: ProcessRecord) {
        if said.record.level <= self.level {
            let record = GroupRecord { group: self.group[..].into(), process, said };
            self.outbox.borrow_mut().put(&record, &self.style);
        }
    }

    /// Writes a record about the ordinary life of processes, at level info.
    pub fn info(&self, text: &str) {
        self.record(Topic::INFO, text);
    }
}
