//! The socket of a request's client.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

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

/// Waits this long for something from the client of a request. Returns whether nothing has come; `false`, too, where
/// that cannot be told.
pub fn is_silent(r: &Request<'_>, wait: Duration) -> bool {
    let Some(socket) = of_client(r) else { return false };
    let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
    matches!(poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&wait)), Ok(0))
}
