//! Records that belong to no request: lines in Apache's format on standard error, which is the virtual host's error log.

use std::io::Write;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::SystemTime;

use wsgi_wire::record::{Level, line};

use crate::ffi::process::local_time;

static MOST: AtomicU8 = AtomicU8::new(Level::Info as u8);

/// Records above this level are left out from now on.
pub(crate) fn set_level(level: Level) {
    MOST.store(level as u8, Ordering::Relaxed);
}

/// Whether records of this level are wanted.
pub(crate) fn enabled(level: Level) -> bool {
    level as u8 <= MOST.load(Ordering::Relaxed)
}

/// Writes one record.
pub(crate) fn process(level: Level, text: &str) {
    if enabled(level) {
        write(level, text);
    }
}

/// Writes one record of the application: text of any bytes.
pub(crate) fn application(level: Level, text: &[u8]) {
    process(level, &String::from_utf8_lossy(text));
}

fn write(level: Level, text: &str) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let line = line(local_time(now), level, std::process::id(), text);
    // One write, so that records of several processes do not mix. A full disk must not stop the service.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
