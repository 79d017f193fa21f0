//! Records of what an Apache child itself has to say.
#![forbid(unsafe_code)]

use wsgi_wire::messages::Topic;
use wsgi_wire::record::{LogRecord, Writer};

/// Makes a record of this process and thread; see [`LogRecord::ours`].
pub fn ours(topic: impl Into<Topic>, text: &str) -> LogRecord {
    let thread = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
    LogRecord::ours(topic, Writer { pid: std::process::id(), thread }, text)
}
