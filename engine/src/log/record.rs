//! Records. Those of a request travel to the Apache child that waits for it; others to the supervisor, or, in embedded
//! mode, straight to Apache.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use pyo3::Python;
use wsgi_unix::thread_id;
use wsgi_wire::codec::Wire;
use wsgi_wire::messages::{Topic, internal};
use wsgi_wire::record::{Level, LogRecord, Stream, Writer};
use wsgi_wire::report::{ProcessRecord, RequestName};

use crate::ffi::attach;
use crate::ffi::host::Logger;

static MAX_LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static DESTINATION: OnceLock<Box<dyn Destination>> = OnceLock::new();

/// A way by which records that no request carries leave this process.
pub(crate) trait Destination: Send + Sync {
    /// Whether a record may go this way. One that may not has been written elsewhere.
    fn accepts(&self, _record: &LogRecord) -> bool {
        true
    }

    /// Sends a message. Returns `false` if that is possible only by waiting, and `wait` forbids it.
    fn deliver(&self, message: &[u8], wait: bool) -> bool;
}

/// In embedded mode a function of the Apache child that this process is takes them.
impl Destination for Logger {
    fn deliver(&self, message: &[u8], _wait: bool) -> bool {
        self.log(message);
        true
    }
}

/// Sets the way by which records leave this process from now on.
pub(crate) fn set_destination(destination: impl Destination + 'static) {
    // Once, at start.
    let _ = DESTINATION.set(Box::new(destination));
}

/// Sets the level up to which records are written from now on.
pub(crate) fn limit(level: Level) {
    MAX_LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Whether records of this level are written.
pub(crate) fn enabled(level: Level) -> bool {
    level as u8 <= MAX_LEVEL.load(Ordering::Relaxed)
}

/// The calling thread, as the writer of a record.
pub(crate) fn writer() -> Writer {
    Writer { pid: std::process::id(), thread: thread_id() }
}

/// Writes one record of our own; see [`LogRecord::ours`].
pub(crate) fn process(topic: impl Into<Topic>, text: &str) {
    write(LogRecord::ours(topic, writer(), text), None, None);
}

/// Writes what the application has written to one of its streams, where that belongs to no request.
pub(crate) fn of_application(stream: Stream, text: &str) {
    let record = LogRecord { stream, level: Level::Error, ..LogRecord::ours(Topic::INFO, writer(), text) };
    write(record, None, None);
}

/// Writes the record about a panic that a guard has caught.
pub(crate) fn panicked(text: &str) {
    process(&internal::PANIC, text);
}

/// Writes one record that no Apache child waits for. `application_group`: where it comes from, if that is known.
/// `request`: the request that it is about. Waits while the process has logged more than it may; a thread that holds
/// the GIL calls [`write_attached`].
pub(crate) fn write(record: LogRecord, application_group: Option<&[u8]>, request: Option<RequestName>) {
    for message in messages(record, application_group, request) {
        deliver(&message, true);
    }
}

/// Writes a record as [`write()`] does, on a thread that holds the GIL, which is given up where it has to wait.
pub(crate) fn write_attached(
    py: Python<'_>,
    record: LogRecord,
    application_group: Option<&[u8]>,
    request: Option<RequestName>,
) {
    for message in messages(record, application_group, request) {
        if !deliver(&message, false) {
            attach::detach(py, || deliver(&message, true));
        }
    }
}

fn messages(record: LogRecord, application_group: Option<&[u8]>, request: Option<RequestName>) -> Vec<Vec<u8>> {
    if !enabled(record.level) {
        return Vec::new();
    }
    if DESTINATION.get().is_some_and(|destination| !destination.accepts(&record)) {
        return Vec::new();
    }
    let said = ProcessRecord { application_group: application_group.map(Into::into), request, record };
    said.into_pieces().iter().map(Wire::to_bytes).collect()
}

/// Sends a message, as [`Destination::deliver`] does; before there is a destination it goes nowhere.
fn deliver(message: &[u8], wait: bool) -> bool {
    DESTINATION.get().is_none_or(|destination| destination.deliver(message, wait))
}
