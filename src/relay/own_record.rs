//! Records of what an Apache child itself has to say.
#![forbid(unsafe_code)]

use wsgi_wire::messages::Topic;
use wsgi_wire::record::{LogRecord, Writer};

/// Makes a record of this process and thread; see [`LogRecord::ours`].
pub fn ours(topic: impl Into<Topic>, text: &str) -> LogRecord {
    LogRecord::ours(topic, Writer { pid: std::process::id(), thread: wsgi_unix::thread_id() }, text)
}
