//! Behind a request: its worker waits a moment for the next one of its client.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wsgi_unix::stop;

use super::waking;
use crate::daemons;
use crate::httpd::request::Request;
use crate::httpd::{server, socket};
use crate::policy::linger::{Busy, Lingering};

/// The time that a worker waits: a client on the same network has got the response by then and sent its next request.
const MOMENT: Duration = Duration::from_millis(1);

/// Requests that take less than this are quick: a slice of a thread's time is longer on any Linux.
const QUICK: Duration = Duration::from_millis(2);

static LINGERING: Lingering = Lingering::new();

thread_local! {
    /// The request whose response this thread has written, and which was the last thing to do for it.
    static WRITTEN: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

/// A worker has a request, as long as the result lives.
pub fn busy() -> Busy<'static> {
    LINGERING.busy()
}

/// The client has the whole response.
pub fn written(r: &Request<'_>) {
    WRITTEN.set(r.address());
}

/// `log_transaction`, behind all other modules: the request is over, and the response has left. What follows is
/// Apache's look for the client's next request.
pub fn linger(r: &Request<'_>) {
    let is_last = WRITTEN.replace(ptr::null_mut()) == r.address() && r.keeps_connection() && !stop::has_begun();
    let wait = || {
        if is_quick(r) {
            waking::give_way();
        } else {
            waking::push();
        }
        !socket::is_silent(r, MOMENT)
    };
    if !(is_last && threads().is_some_and(|threads| LINGERING.linger(threads, wait))) {
        waking::push();
    }
}

/// Whether a request, which is over, has taken so little time that others like it keep nobody waiting.
fn is_quick(r: &Request<'_>) -> bool {
    let begin = UNIX_EPOCH + Duration::from_micros(r.time());
    SystemTime::now().duration_since(begin).is_ok_and(|time| time < QUICK)
}

/// The threads of a child whose MPM gives a connection away between two requests; `None` where a thread keeps it
/// anyway, or `WSGILinger` is off.
fn threads() -> Option<u32> {
    static THREADS: OnceLock<Option<u32>> = OnceLock::new();
    *THREADS.get_or_init(|| {
        let wanted = server::is_async() && daemons::current().is_some_and(|runtime| runtime.lingers);
        wanted.then(|| server::capacity().1)
    })
}
