//! Where requests wait for a thread of their group, in order: [`Queue`] says by which rules, here is how they sleep and
//! are woken.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::time::Duration;

use rustix::thread::futex;
use wsgi_unix::timespec::timespec;
use wsgi_unix::{clock, stop};
use wsgi_wire::table::Queue;

use super::wait_limits::Wait;

/// A request's place in the queue of its group.
#[derive(Debug)]
pub struct QueueTicket<'t> {
    queue: &'t Queue,
    ticket: u32,
    seen: Cell<u32>,
    /// Whether another request has called this one: it is its turn.
    pub(super) called: bool,
}

impl<'t> QueueTicket<'t> {
    /// Takes the place at the end of the queue.
    pub fn take(queue: &'t Queue) -> Self {
        Self { queue, ticket: queue.join(milliseconds(), ALIVE), seen: Cell::new(queue.seen()), called: false }
    }

    /// Whether this place is the one that looks every now and then for a thread that has become free without anybody
    /// being called.
    pub fn watches(&self) -> bool {
        self.queue.watches(self.ticket)
    }

    /// Leaves the queue and calls the next request: the thread that this one has waited for is still free.
    pub fn pass_on(self) {
        let queue = self.queue;
        drop(self);
        call_first(queue);
    }

    /// Waits until a thread of the group may have got free since the last look, but not longer than `pause`.
    pub fn wait(&mut self, pause: Duration) {
        // Too late to wait, or the pause is over: the next thing is another look.
        let (calls, seen) = (self.queue.calls(), self.seen.get());
        self.called = futex::wait(calls, futex::Flags::empty(), seen, Some(&timespec(pause))).is_ok();
        if self.called {
            self.queue.heard();
        }
        self.seen.set(self.queue.seen());
        self.queue.looked(milliseconds());
    }

    /// Calls the request that has waited longest, in the midst of a look for a thread, and before that is taken: such a
    /// call is no reason for another look. Returns whether another one is called.
    pub(super) fn call_first(&self) -> bool {
        let calls = call_first(self.queue);
        self.seen.set(self.queue.seen());
        calls
    }
}

impl Drop for QueueTicket<'_> {
    fn drop(&mut self) {
        // In a child that stops, each one tells the next.
        if self.queue.leave(self.ticket) || stop::has_begun() && self.queue.is_used() {
            call_first(self.queue);
        }
    }
}

/// Calls the request that has waited longest. Returns whether there is one.
pub(super) fn call_first(queue: &Queue) -> bool {
    let wakes = || futex::wake(queue.calls(), futex::Flags::empty(), 1).is_ok_and(|woken| woken > 0);
    queue.call();
    if wakes() {
        return true;
    }
    queue.missed();
    wakes()
}

/// How long, in milliseconds, a queue may go without a look before those in it are taken for dead: longer than any wait
/// between two looks.
pub(super) const ALIVE: u64 = Queue::ALIVE;

const _: () = assert!(ALIVE == 4 * Wait::LOOK.as_millis() as u64);

/// How many requests wait. Those that have died with their Apache child are not counted.
pub fn waiting(queue: &Queue) -> u32 {
    queue.waiting(milliseconds(), ALIVE)
}

/// Milliseconds of the clock that all processes share.
pub(super) fn milliseconds() -> u64 {
    clock::monotonic().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits until this place is called; the caller of the other thread may be quicker than the sleep, which it then
    /// prevents.
    fn wait_for_call(place: &mut QueueTicket<'_>) {
        let seen = place.seen.get();
        while place.seen.get() == seen {
            place.wait(Duration::from_secs(5));
        }
    }

    #[test]
    fn when_the_last_leaves_another_one_watches_at_once() {
        let queue = Queue::default();
        let (mut first, last) = (QueueTicket::take(&queue), QueueTicket::take(&queue));
        assert!(!first.watches() && last.watches());
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                wait_for_call(&mut first);
                first.watches()
            });
            drop(last);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn who_is_called_while_nobody_watches_and_goes_calls_the_next() {
        let queue = Queue::default();
        let (first, mut second, last) =
            (QueueTicket::take(&queue), QueueTicket::take(&queue), QueueTicket::take(&queue));
        std::thread::scope(|scope| {
            drop(last);
            second.seen.set(queue.seen());
            let waiting = scope.spawn(|| {
                wait_for_call(&mut second);
                second.watches()
            });
            drop(first);
            assert!(waiting.join().unwrap());
        });
    }
}
