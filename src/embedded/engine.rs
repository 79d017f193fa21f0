//! The engine in this Apache child.

use wsgi_wire::embedded::{self, Host, View};

/// The engine's functions in this process.
#[derive(Clone, Copy)]
pub struct Engine(pub(super) &'static embedded::Engine);

impl Engine {
    /// Has a request answered on this thread; `false` if there is no answer at all.
    pub(super) fn serve(self, host: &Host, route: &[u8], request: &[u8]) -> bool {
        // SAFETY: the host and both views are valid during the call; Apache's threads are attached to no interpreter.
        unsafe { (self.0.serve)(host, View::of(route), View::of(request)) == 0 }
    }
}
