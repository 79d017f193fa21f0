//! What a worker of Apache does to other threads when it is woken. While the requests of its client are over in a
//! moment, it waits until the thread that runs pauses: that is mostly the one that has woken it, a thread of a daemon
//! process with the next request before it. To push that aside costs two switches of threads for each request.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::OnceLock;

use wsgi_unix::scheduling;

thread_local! {
    static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread gives way.
pub fn gives_way() -> bool {
    GIVES_WAY.get()
}

/// Makes this thread give way, unless the administrator has chosen how Apache is scheduled.
pub fn give_way() {
    static IS_POSSIBLE: OnceLock<bool> = OnceLock::new();
    // What a filter of system calls has refused once is not tried again.
    if !GIVES_WAY.get() && *IS_POSSIBLE.get_or_init(|| scheduling::is_usual() && scheduling::give_way(true).is_ok()) {
        GIVES_WAY.set(scheduling::give_way(true).is_ok());
    }
}

/// Makes this thread as usual again, if it gives way: before it waits for what may take long, and before other modules
/// get it, since threads and processes begin as the thread that makes them is.
pub fn push() {
    if GIVES_WAY.replace(false) {
        // It has gone in the other direction.
        let _ = scheduling::give_way(false);
    }
}
