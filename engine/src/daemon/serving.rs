//! Who serves the requests of the process: threads, or an event loop.

use crate::asgi::server::Server;
use crate::workers::poller::Poller;

/// Who serves the requests of the process.
#[derive(Clone, Copy)]
pub(crate) enum Serving {
    /// Worker threads, who wait at this poller.
    Workers(&'static Poller),
    /// The event loop on Python's main thread.
    Loop(&'static Server),
}

impl Serving {
    /// No more connections are accepted, and those that carry nothing are closed.
    pub(crate) fn retire(self) {
        match self {
            Self::Workers(poller) => poller.retire(),
            Self::Loop(server) => server.retire(),
        }
    }

    /// There is nothing more to wait for: who serves comes to an end.
    pub(crate) fn close(self) {
        match self {
            Self::Workers(poller) => poller.close(),
            Self::Loop(server) => server.close(),
        }
    }
}
