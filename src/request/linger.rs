//! Behind a request: its worker waits a moment for the next one of its client.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wsgi_unix::stop;

use super::waking;
use crate::daemons;
use crate::httpd::request::Request;
use crate::httpd::{server, socket};
use crate::policy::linger::{Busy, Lingering};

/// Requests that take less than this, waits for a processor included, are quick: the threads that run them pause that
/// soon.
const QUICK: Duration = Duration::from_millis(2);

static LINGERING: Lingering = Lingering::new();

thread_local! {
    /// The request whose response this thread has written, and which was the last thing to do for it.
    static WRITTEN: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
    /// Whether the application has run in this child, and not in another process.
    static RAN_HERE: Cell<bool> = const { Cell::new(false) };
}

/// A worker has a request, as long as the result lives.
pub fn busy() -> Busy<'static> {
    LINGERING.busy()
}

/// The application runs in this child, or in another process.
pub fn runs(here: bool) {
    RAN_HERE.set(here);
}

/// More of the response of this worker's request follows, from a process. Where others wait for a processor, too, that
/// goes on until it has no more to do, or its slice is over; until the end of the request ([`linger`]).
pub fn flows() {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let processors = *PROCESSORS.get_or_init(|| match lingers() {
        true => available_parallelism().map_or(1, usize::from),
        false => usize::MAX,
    });
    if LINGERING.is_crowded(processors) {
        waking::give_way();
    }
}

/// The client has the whole response.
pub fn written(r: &Request<'_>) {
    WRITTEN.set(r.address());
}

/// `log_transaction`, behind all other modules: the request is over, and the response has left. What follows is
/// Apache's look for the client's next request.
pub fn linger(r: &Request<'_>) {
    let is_last = WRITTEN.replace(ptr::null_mut()) == r.address() && r.keeps_connection() && !stop::has_begun();
    let is_quick = is_last && is_quick(r);
    let comes = |time| !socket::is_silent(r, time);
    if is_last && threads().is_some_and(|threads| LINGERING.linger(threads, RAN_HERE.get(), comes)) && is_quick {
        waking::give_way();
    } else {
        waking::be_usual();
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
        let wanted = server::is_async() && lingers();
        wanted.then(|| server::capacity().1)
    })
}

/// Whether `WSGILinger` is on.
fn lingers() -> bool {
    daemons::of_child().is_some_and(|runtime| runtime.lingers)
}
