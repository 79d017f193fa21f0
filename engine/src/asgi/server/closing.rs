//! The end of a server: nothing new is taken, WebSockets are closed, the loop ends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use pyo3::Python;

use super::{Server, Slot};
use crate::asgi::farewell::Farewell;
use crate::process::Process;

impl Server {
    /// Accepts nothing any more, and closes the connections that carry no request. From any thread.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.listener.close();
        self.wake();
    }

    /// Begins, once, to close the WebSockets, and goes on with it.
    pub(in crate::asgi) fn say_farewell(&self, py: Python<'_>) {
        let now = Instant::now();
        let (leaving, next) = {
            let mut farewell = self.farewell.lock().unwrap_or_else(PoisonError::into_inner);
            let begun = farewell.get_or_insert_with(|| {
                let slots = self.slots();
                let open = slots.values().filter_map(|slot| match slot {
                    Slot::Busy(carried) if carried.is_open() => Some(Arc::clone(carried)),
                    _ => None,
                });
                let seconds = Process::get().settings.ws_graceful_timeout;
                Farewell::new(open.collect(), now + Duration::from_secs(seconds.into()))
            });
            begun.step(now)
        };
        for carried in leaving {
            carried.leave(py);
        }
        if let (Some(next), Some(objects)) = (next, self.objects()) {
            objects.call_later(py, next, "say_farewell");
        }
    }

    /// Ends the loop. From any thread.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.retire();
    }

    /// Answers all requests in the place of the loop, which does not do so any more. From any thread.
    pub(crate) fn answer_all(&self) {
        for slot in self.slots().values() {
            match slot {
                Slot::Busy(carried) => carried.answer_for_the_loop(),
                Slot::Waiting(connection, _) => {
                    connection.right().reject();
                }
                Slot::Idle(_) => {}
            }
        }
    }
}
