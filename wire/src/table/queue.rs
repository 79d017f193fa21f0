//! The queue of requests in Apache children that wait for a process of their group with a free thread.
//!
//! A request that waits sleeps on [`Queue::calls`], a futex, and the kernel keeps the order. When a thread gets free,
//! the first request is called. Nobody calls when a process becomes ready, or when an Apache child has died with its
//! requests: so one of the waiting requests *watches*: it gets up every now and then, looks whether a thread is free,
//! and calls the first if so. That is the last one in the queue, which has no place to lose. Who has been called needs
//! a moment until it runs, in which its thread still looks free: nobody else is called for that one. Here is the effect
//! of all that on memory; the relay sleeps and wakes.

use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::atomic::{AtomicU32, AtomicU64};

/// The ticket that no request has: nobody watches.
const NOBODY: u32 = 0;

/// The queue of a process group. All zero is an empty queue.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Queue {
    /// How many requests are waiting.
    waiting: AtomicU32,
    /// The number of calls so far.
    calls: AtomicU32,
    /// The number of requests that have ever come to wait.
    tickets: AtomicU32,
    /// The ticket of the request that watches.
    watch: AtomicU32,
    /// When a waiting request has last looked, milliseconds of a clock that all processes share. Requests that come
    /// later wait behind these, unless they are dead.
    looked: AtomicU64,
    /// How many requests have been called and have not woken yet.
    called: AtomicU32,
    /// When `called` was last set to zero, by that clock.
    forgotten: AtomicU64,
}

impl Queue {
    /// How long the waiting requests count as alive since one of them has looked, in milliseconds.
    pub const ALIVE: u64 = 200;

    /// How often the requests that have been called are forgotten, in milliseconds: one of them may have died. Then one
    /// more is called for a thread now and then.
    const FORGET: u64 = 50;

    /// Takes a place at the end, with the watch. Returns its ticket.
    pub fn join(&self, now: u64, max_pause: u64) -> u32 {
        self.forget_dead(now, max_pause);
        // Who gives a thread back looks here afterwards, and who comes here looks for a thread afterwards: one of them
        // sees the other.
        self.waiting.fetch_add(1, SeqCst);
        self.looked(now);
        let ticket = self.tickets.fetch_add(1, Relaxed).wrapping_add(1).max(NOBODY + 1);
        self.watch.swap(ticket, AcqRel);
        ticket
    }

    /// Stops counting requests that have died with their Apache child. If several requests come at this moment, one of
    /// them does so, and those that have come meanwhile stay counted.
    fn forget_dead(&self, now: u64, max_pause: u64) {
        let (counted, looked) = (self.waiting.load(Acquire), self.looked.load(Acquire));
        let are_dead = counted > 0 && now.saturating_sub(looked) >= max_pause;
        if are_dead && self.looked.compare_exchange(looked, now, AcqRel, Relaxed).is_ok() {
            let _ = self.waiting.fetch_update(AcqRel, Acquire, |n| Some(n.saturating_sub(counted)));
        }
    }

    /// Notes that a waiting request has looked.
    pub fn looked(&self, now: u64) {
        self.looked.store(now, Relaxed);
    }

    /// Whether the holder of this ticket watches, which it does from now on if nobody does.
    pub fn watches(&self, ticket: u32) -> bool {
        let holder = self.watch.load(Acquire);
        holder == ticket || holder == NOBODY && self.watch.compare_exchange(NOBODY, ticket, AcqRel, Acquire).is_ok()
    }

    /// Gives a place up. Returns whether other requests wait, and the first of them has to be called, because nobody
    /// watches now.
    pub fn leave(&self, ticket: u32) -> bool {
        // It may be counted anew meanwhile, because an Apache child has died; it is never less than empty.
        let before = self.waiting.fetch_update(AcqRel, Acquire, |n| n.checked_sub(1));
        let _ = self.watch.compare_exchange(ticket, NOBODY, AcqRel, Acquire);
        before.is_ok_and(|n| n > 1) && self.watch.load(Acquire) == NOBODY
    }

    /// Whether any request waits, dead or alive.
    pub fn is_used(&self) -> bool {
        self.waiting.load(SeqCst) > 0
    }

    /// How many requests wait. If none of them has looked for longer than `max_pause` (ms), they are dead.
    pub fn waiting(&self, now: u64, max_pause: u64) -> u32 {
        let is_alive = now.saturating_sub(self.looked.load(Relaxed)) < max_pause;
        if is_alive { self.waiting.load(Acquire) } else { 0 }
    }

    /// The number of calls, as the futex to sleep on.
    pub fn calls(&self) -> &AtomicU32 {
        &self.calls
    }

    /// The number of calls so far. A request that goes to sleep passes the number that it has seen before it looked: if
    /// there was another call meanwhile, it does not fall asleep.
    pub fn seen(&self) -> u32 {
        self.calls.load(Acquire)
    }

    /// Counts a call; the caller then wakes one of the sleeping requests.
    pub fn call(&self) {
        self.called.fetch_add(1, Relaxed);
        self.calls.fetch_add(1, Release);
    }

    /// Notes that a request that was called is awake.
    pub fn heard(&self) {
        // It may have been forgotten meanwhile.
        let _ = self.called.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
    }

    /// Notes that a call has found nobody asleep. One of those that were awake may have left the thread to the one that
    /// was called: they look again. The caller wakes one more, as it may sleep by now.
    pub fn missed(&self) {
        self.heard();
        self.calls.fetch_add(1, Release);
    }

    /// How many requests have been called and have not woken yet: so many threads that look free are theirs.
    pub fn called(&self, now: u64) -> u32 {
        let forgotten = self.forgotten.load(Relaxed);
        let is_long_ago = now.saturating_sub(forgotten) >= Self::FORGET;
        if is_long_ago && self.forgotten.compare_exchange(forgotten, now, Relaxed, Relaxed).is_ok() {
            self.called.store(0, Relaxed);
        }
        self.called.load(Relaxed)
    }

    /// Empties the queue, for another group.
    pub fn clear(&self) {
        self.waiting.store(0, Relaxed);
        self.watch.store(NOBODY, Relaxed);
        self.called.store(0, Relaxed);
    }
}

#[cfg(all(loom, test))]
mod loom_tests {
    use loom::sync::{Arc, Condvar, Mutex};

    use super::*;

    const NOW: u64 = 1;
    const MAX_PAUSE: u64 = 100;

    /// A queue, the threads that are free, and what the kernel has of a futex: one word, looked at under a lock.
    #[derive(Default)]
    struct Group {
        queue: Queue,
        free: AtomicU32,
        /// How many sleep, and how many of these have been woken.
        asleep: Mutex<(u32, u32)>,
        call: Condvar,
    }

    impl Group {
        /// Returns whether it has been woken.
        fn sleep(&self, seen: u32) -> bool {
            let mut guard = self.asleep.lock().unwrap();
            if self.queue.seen() != seen {
                return false;
            }
            guard.0 += 1;
            while guard.1 == 0 {
                guard = self.call.wait(guard).unwrap();
            }
            guard.1 -= 1;
            self.queue.heard();
            true
        }

        /// Returns whether there was one to be woken.
        fn wake(&self) -> bool {
            let mut guard = self.asleep.lock().unwrap();
            let wakes = guard.0 > 0;
            if wakes {
                guard.0 -= 1;
                guard.1 += 1;
                self.call.notify_one();
            }
            wakes
        }

        fn call_first(&self) {
            self.queue.call();
            if !self.wake() {
                self.queue.missed();
                self.wake();
            }
        }

        fn give_back(&self) {
            self.free.fetch_add(1, SeqCst);
            if self.queue.is_used() {
                self.call_first();
            }
        }

        fn take_thread(&self) -> bool {
            self.free.fetch_update(AcqRel, Acquire, |n| n.checked_sub(1)).is_ok()
        }

        fn leave(&self, ticket: u32) {
            if self.queue.leave(ticket) {
                self.call_first();
            }
        }

        /// Waits for a thread: the one that watches looks again and again, the others sleep until they are called.
        fn wait(&self) {
            let ticket = self.queue.join(NOW, MAX_PAUSE);
            let mut called = false;
            loop {
                let seen = self.queue.seen();
                if (called || self.free.load(SeqCst) > self.queue.called(NOW)) && self.take_thread() {
                    return self.leave(ticket);
                }
                match self.queue.watches(ticket) {
                    true => loom::thread::yield_now(),
                    false => called = self.sleep(seen),
                }
            }
        }
    }

    fn model(check: impl Fn(Arc<Group>) + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(2);
        builder.check(move || check(Arc::default()));
    }

    /// A process has become ready: nobody is called.
    #[test]
    fn loom_somebody_watches_as_long_as_somebody_waits() {
        model(|group| {
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let group = Arc::clone(&group);
                    loom::thread::spawn(move || group.wait())
                })
                .collect();
            group.free.fetch_add(2, Release);
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(!group.queue.is_used());
        });
    }

    /// Whether it is the one that sleeps, the one that watches, or nobody who is called.
    #[test]
    fn loom_a_thread_that_gets_free_is_not_kept_for_one_that_was_not_reached() {
        model(|group| {
            let other = Arc::clone(&group);
            let waiting = loom::thread::spawn(move || other.wait());
            group.give_back();
            waiting.join().unwrap();
            assert!(!group.queue.is_used() && group.free.load(SeqCst) == 0);
        });
    }

    #[test]
    fn loom_the_dead_are_forgotten_and_nobody_else() {
        model(|group| {
            group.queue.join(NOW, MAX_PAUSE);
            let other = Arc::clone(&group);
            let coming = loom::thread::spawn(move || other.queue.join(NOW + MAX_PAUSE, MAX_PAUSE));
            group.queue.join(NOW + MAX_PAUSE, MAX_PAUSE);
            coming.join().unwrap();
            assert_eq!(group.queue.waiting(NOW + MAX_PAUSE, MAX_PAUSE), 2);
        });
    }

    #[test]
    fn loom_who_watches_and_gives_up_leaves_the_watch_to_another_one() {
        model(|group| {
            let other = Arc::clone(&group);
            let waiting = loom::thread::spawn(move || other.wait());
            let ticket = group.queue.join(NOW, MAX_PAUSE);
            group.queue.watches(ticket);
            group.leave(ticket);
            group.free.fetch_add(1, Release);
            waiting.join().unwrap();
            assert!(!group.queue.is_used());
        });
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_to_come_watches() {
        let queue = Queue::default();
        let (first, second) = (queue.join(1, 9), queue.join(1, 9));
        assert!(!queue.watches(first) && queue.watches(second));
        let third = queue.join(2, 9);
        assert!(!queue.watches(second) && queue.watches(third));
    }

    #[test]
    fn the_watch_is_somebodys_again_after_it_was_given_up() {
        let queue = Queue::default();
        let (first, last) = (queue.join(1, 9), queue.join(1, 9));
        assert!(queue.leave(last), "the first has to be called");
        assert!(queue.watches(first));
        assert!(!queue.leave(first), "nobody is there to be called");
    }

    #[test]
    fn who_is_called_and_goes_calls_the_next() {
        let queue = Queue::default();
        let (first, _second, last) = (queue.join(1, 9), queue.join(1, 9), queue.join(1, 9));
        assert!(queue.leave(last));
        assert!(queue.leave(first), "the watch is still nobody's");
    }

    #[test]
    fn who_has_not_looked_for_long_is_dead() {
        let queue = Queue::default();
        queue.join(1, 9);
        assert_eq!((queue.waiting(9, 9), queue.waiting(10, 9)), (1, 0));
        queue.join(10, 9);
        assert_eq!(queue.waiting(10, 9), 1);
        queue.leave(7);
        queue.leave(7);
        assert!(!queue.is_used());
    }

    #[test]
    fn who_has_been_called_counts_until_it_is_awake_but_not_for_ever() {
        let queue = Queue::default();
        assert_eq!(queue.called(1000), 0);
        queue.call();
        queue.call();
        queue.heard();
        assert_eq!((queue.called(1049), queue.called(1050)), (1, 0));
        queue.heard();
        assert_eq!(queue.called(1051), 0, "the one that was forgotten is awake");
        let seen = queue.seen();
        queue.call();
        queue.missed();
        assert!(queue.called(1052) == 0 && queue.seen() != seen, "nobody sleeps who has not seen both");
    }

    #[test]
    fn no_ticket_is_nobodys() {
        let queue = Queue::default();
        queue.tickets.store(u32::MAX, Relaxed);
        let ticket = queue.join(1, 9);
        assert!(queue.watches(ticket) && ticket != NOBODY);
    }
}
