//! What a worker of Apache does to other threads when it is woken. While the requests of its client are over in a
//! moment, it waits until the thread that runs pauses: that is mostly the one that has woken it, a thread of a daemon
//! process with the next request before it. To push that aside costs two switches of threads for each request.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use wsgi_unix::scheduling;

thread_local! {
    static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread gives way.
pub fn gives_way() -> bool {
    GIVES_WAY.get()
}

/// Makes this thread give way, unless the administrator has chosen how it is scheduled.
pub fn give_way() {
    static IS_REFUSED: AtomicBool = AtomicBool::new(false);
    if gives_way() || IS_REFUSED.load(Relaxed) || !scheduling::is_usual() {
        return;
    }
    match scheduling::give_way() {
        Ok(()) => GIVES_WAY.set(true),
        // By a filter of system calls, which is not asked again.
        Err(_) => IS_REFUSED.store(true, Relaxed),
    }
}

/// Makes this thread as usual again, if it gives way: it is about to do something else than to serve a client that
/// comes back at once.
pub fn be_usual() {
    if GIVES_WAY.replace(false) {
        // It has gone in the other direction.
        let _ = scheduling::be_usual();
    }
}
