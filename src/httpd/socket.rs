//! The socket of a request's client.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use wsgi_unix::timespec::timespec;

use super::request::Request;
use super::sys;

/// The socket of the client of a request; `None` where several requests share its connection (HTTP/2): nobody but their
/// session may look at that.
pub fn of_client<'r>(r: &'r Request<'_>) -> Option<BorrowedFd<'r>> {
    let mut fd = -1;
    if r.shares_connection() {
        return None;
    }
    // SAFETY: S1: a request has its connection, and the connection its socket.
    let socket = unsafe { sys::ap_get_conn_socket(r.rec().connection) };
    // SAFETY: a place for a number.
    let found = unsafe { sys::apr_os_sock_get(&raw mut fd, socket) } == 0 && fd >= 0;
    // SAFETY: S1: the socket stays open as long as the hook runs.
    found.then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// What tells that something has come on the stream of HTTP/2 that a request is; `None` where nobody tells.
pub fn of_stream<'r>(r: &'r Request<'_>) -> Option<BorrowedFd<'r>> {
    if !r.shares_connection() {
        return None;
    }
    // SAFETY: S1: mod_http2 looks at the connection of a stream, which is this thread's.
    let fd = unsafe { sys::wsgi_shim_stream_input(r.rec().connection) };
    // SAFETY: S1: the pipe of a stream stays open as long as the hook runs.
    (fd >= 0).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// How many streams of HTTP/2 this Apache child serves at a time.
pub fn stream_workers(r: &Request<'_>) -> u32 {
    // SAFETY: S1, S5: mod_http2 reads its configuration, or there is none.
    u32::try_from(unsafe { sys::wsgi_shim_stream_workers(r.rec().server) }).unwrap_or(0)
}

/// Waits this long for something from the client of a request. Returns whether nothing has come; `false`, too, where
/// that cannot be told.
pub fn is_silent(r: &Request<'_>, wait: Duration) -> bool {
    let Some(socket) = of_client(r) else { return false };
    matches!(poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&timespec(wait))), Ok(0))
}
