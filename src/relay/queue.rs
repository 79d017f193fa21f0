//! Where requests wait for a thread of their group, in order.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::thread::futex;
use rustix::time::{ClockId, clock_gettime};
use wsgi_unix::stop;
use wsgi_wire::table::Queue;

use super::wait_limits::Patience;

/// A place in the queue of a group.
///
/// The kernel keeps those that sleep on a futex in order, so who waits sleeps until it is woken, but for the last: as
/// its place is at the end anyway, it may get up and look whether a thread is free that nobody was woken for, because a
/// process has become ready or an Apache child has died, and wakes the first then.
#[derive(Debug)]
pub struct Place<'t> {
    queue: &'t Queue,
    ticket: u32,
    seen: u32,
    /// Whether somebody has said that it is its turn.
    pub(super) woken: bool,
}

impl<'t> Place<'t> {
    /// Takes a place at the end.
    pub fn take(queue: &'t Queue) -> Self {
        if !is_alive(queue) {
            // Who is still counted has died with its child.
            queue.waiting.store(0, Release);
        }
        queue.waiting.fetch_add(1, AcqRel);
        queue.looked.store(milliseconds(), Relaxed);
        Self { queue, ticket: next_ticket(queue), seen: queue.freed.load(Acquire), woken: false }
    }

    /// Whether nobody has come later.
    pub fn is_last(&self) -> bool {
        self.queue.tickets.load(Acquire) == self.ticket
    }

    /// Leaves, and lets the next one look: the thread that this place has waited for is still free.
    pub fn pass_on(self) {
        let queue = self.queue;
        drop(self);
        wake_first(queue);
    }

    /// Waits until a thread of the group may have got free since the last look, but not longer than `pause`.
    pub fn wait(&mut self, pause: Duration) {
        let pause = Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: pause.subsec_nanos().into() };
        if self.woken {
            // In vain: somebody else was quicker. This place was given up for that.
            self.ticket = next_ticket(self.queue);
        }
        // Too late to wait, or the pause is over: the next thing is another look.
        self.woken = futex::wait(&self.queue.freed, futex::Flags::empty(), self.seen, Some(&pause)).is_ok();
        self.seen = self.queue.freed.load(Acquire);
        self.queue.looked.store(milliseconds(), Relaxed);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // It may be counted anew meanwhile, because an Apache child has died; it is never less than empty.
        let before = self.queue.waiting.fetch_update(AcqRel, Acquire, |n| n.checked_sub(1));
        if (self.is_last() || stop::has_begun()) && before.is_ok_and(|n| n > 1) {
            // Another one has to look from now on: the first, whose turn it may well be. In a child that stops, each
            // one tells the next.
            wake_first(self.queue);
        }
    }
}

/// Wakes the request that waits for longest. Whether there is one.
pub(super) fn wake_first(queue: &Queue) -> bool {
    queue.freed.fetch_add(1, Release);
    futex::wake(&queue.freed, futex::Flags::empty(), 1).is_ok_and(|woken| woken > 0)
}

fn next_ticket(queue: &Queue) -> u32 {
    queue.tickets.fetch_add(1, AcqRel).wrapping_add(1)
}

/// Longer than any wait in a queue between two looks.
pub(super) const ALIVE: u64 = 4 * Patience::LOOK.as_millis() as u64;

/// How many requests wait. Who has died with its child is not counted.
pub fn waiting(queue: &Queue) -> u32 {
    if is_alive(queue) { queue.waiting.load(Relaxed) } else { 0 }
}

/// Whether anybody who is counted as waiting is still there.
pub(super) fn is_alive(queue: &Queue) -> bool {
    queue.waiting.load(Acquire) > 0 && milliseconds().saturating_sub(queue.looked.load(Relaxed)) < ALIVE
}

/// A clock that all processes of the machine share.
pub(super) fn milliseconds() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}
