//! Records. Those of a request travel to the Apache child that waits for it; others to the supervisor, or, in embedded
//! mode, straight to Apache.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use pyo3::Python;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendFlags, send};
use wsgi_unix::fork;
use wsgi_wire::codec::Wire;
use wsgi_wire::messages::{Topic, internal};
use wsgi_wire::record::{Level, LogRecord, Stream, Writer};
use wsgi_wire::report::{ProcessRecord, RequestName};

use crate::ffi::attach;
use crate::ffi::host::Logger;

static MAX_LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);
static DESTINATION: OnceLock<Destination> = OnceLock::new();

/// The way by which records that no request carries leave this process.
pub(crate) enum Destination {
    /// They go to the supervisor, over a socket on which each message is a record.
    Supervisor(Socket),
    /// They go to a function of the Apache child that this process is.
    Apache(Logger),
}

/// A socket, and its identity.
pub(crate) struct Socket {
    socket: OwnedFd,
    /// The numbers of its file system and its file.
    identity: Option<(u64, u64)>,
}

fn identity(socket: impl AsFd) -> Option<(u64, u64)> {
    rustix::fs::fstat(socket).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

impl From<OwnedFd> for Socket {
    fn from(socket: OwnedFd) -> Self {
        let identity = identity(&socket);
        Self { socket, identity }
    }
}

impl Socket {
    /// Whether the descriptor is still this socket. Processes that an application forks may close all that is open, and
    /// open something else.
    fn is_there(&self) -> bool {
        fork::is_ours() || self.identity.is_some() && identity(&self.socket) == self.identity
    }
}

/// Sets the way by which records leave this process from now on.
pub(crate) fn set_destination(destination: Destination) {
    // Once, at start.
    let _ = DESTINATION.set(destination);
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
    Writer { pid: std::process::id(), thread: rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs() }
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
    if matches!(DESTINATION.get(), Some(Destination::Supervisor(socket)) if !socket.is_there()) {
        // A daemon that an application has made of a child: its standard error is its own affair.
        let parts = [Some(&record.message), record.traceback.as_ref()].into_iter().flatten();
        parts.filter(|part| !part.is_empty()).for_each(|part| plainly(part));
        return Vec::new();
    }
    let said = ProcessRecord { application_group: application_group.map(Into::into), request, record };
    said.into_pieces().iter().map(Wire::to_bytes).collect()
}

/// Writes a line to standard error, without std's lock: in a forked process the thread that holds that may not exist.
fn plainly(text: &[u8]) {
    // What cannot be written there cannot be told anywhere.
    let _ = rustix::io::write(std::io::stderr(), &[text, b"\n"].concat());
}

/// Sends a message. Returns `false` if that is possible only by waiting, and `wait` forbids it.
fn deliver(message: &[u8], wait: bool) -> bool {
    let flags = if wait { SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL | SendFlags::DONTWAIT };
    match DESTINATION.get() {
        // Without a supervisor there is nobody to tell; another one will replace this process.
        Some(Destination::Supervisor(Socket { socket, .. })) => {
            retry_on_intr(|| send(socket, message, flags)) != Err(Errno::AGAIN)
        }
        Some(Destination::Apache(logger)) => {
            logger.log(message);
            true
        }
        None => true,
    }
}
