//! The order of records in the error log. Apache children write the records of requests, this process writes its own:
//! before it does, it waits a moment for what a request has sent earlier.

use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::Python;
use wsgi_unix::socket::unread;

use crate::ffi::attach;

/// How long a record waits for earlier ones at the most: they are only in order if the child is not too busy.
const LOG_ORDER_WAIT: Duration = Duration::from_millis(20);

/// How long a child takes from reading a record to having written it, generously.
const WRITING: Duration = Duration::from_micros(500);

/// The socket on which a request last sent a record, and when; nothing if no record of the process has to wait for it.
static LAST: Mutex<Option<(RawFd, Instant)>> = Mutex::new(None);

/// Notes that a request has sent a record on this socket.
pub(crate) fn sent(socket: RawFd) {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some((socket, Instant::now()));
}

/// Waits, without the GIL, until the records that requests have sent should be written.
pub(crate) fn await_log(py: Python<'_>) {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some((socket, at)) = last.filter(|(_, at)| at.elapsed() < LOG_ORDER_WAIT) else { return };
    attach::detach(py, || {
        // If the socket has been closed meanwhile, this asks another one or none, and waits in vain but not for long.
        while unread(socket).is_some_and(|bytes| bytes > 0) && at.elapsed() < LOG_ORDER_WAIT {
            std::thread::sleep(WRITING / 5);
        }
        std::thread::sleep(WRITING);
    });
}
