//! What the command says where its server's log is: with `--log-to-terminal --log-format json` each line there is a
//! JSON
//! object, those of the command as well.

use std::time::SystemTime;

use wsgi_unix::clock;
use wsgi_wire::json::Context;
use wsgi_wire::json::apache::{Record, line};
use wsgi_wire::record::{Level, LocalTime, Writer};

use crate::options::{LogFormat, Logging};

/// The name of the stream.
const STREAM: &str = "mod_wsgi-express";
/// How many bytes a line has at the most.
const ROOM: usize = 32 << 10;

/// The form of what the command says.
#[derive(Clone, Copy, Debug)]
pub struct Saying {
    json: bool,
}

impl Saying {
    /// The form that the options ask for. `setup`: nothing is going to be started, so there is no log.
    pub fn new(logging: &Logging, setup: bool) -> Self {
        let terminal = logging.log_to_terminal && logging.log_directory.is_none();
        Self { json: terminal && logging.log_format == LogFormat::Json && !setup }
    }

    /// The banner, with its line end.
    pub fn banner(self, text: String) -> String {
        if self.json { record(Level::Notice, text.trim_end()) + "\n" } else { text }
    }

    /// Tells of something that may be intended.
    pub fn warn(self, text: &str) {
        if self.json {
            eprintln!("{}", record(Level::Warn, text));
        } else {
            eprintln!("warning: {text}");
        }
    }
}

fn record(level: Level, message: &str) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let writer = Writer { pid: std::process::id(), thread: wsgi_unix::thread_id() };
    let (message, module, origin, context) = (message.as_bytes(), &b""[..], (&b""[..], 0), Context::default());
    let record = Record { level, message, stream: STREAM, module, origin, writer, context };
    line(LocalTime::at(since, clock::utc_offset(since)), &record, ROOM)
}
