//! The stop of an Apache child. The child waits for its threads, and these may wait for daemon processes: when the stop
//! is not a graceful one, they do so no longer.
//!
//! With the MPM prefork the stop comes in a signal handler, so the functions that are called there take no lock and no
//! memory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
#[cfg(not(all(loom, test)))]
use std::sync::atomic::{AtomicBool, AtomicI32};

#[cfg(not(all(loom, test)))]
use std::thread::yield_now;

#[cfg(all(loom, test))]
use loom::sync::atomic::{AtomicBool, AtomicI32};
#[cfg(all(loom, test))]
use loom::thread::yield_now;

use rustix::net::{Shutdown, shutdown};

/// The value that is no descriptor: the thread waits for no process.
const NONE: RawFd = -1;

/// The value of a slot whose descriptor [`begin`] is about to shut down; it is not closed before that.
const TAKEN: RawFd = -2;

/// The slot of a thread: the socket on which it waits. Slots are never removed; a thread that ends leaves its own to
/// another.
struct WaitSlot {
    occupied: AtomicBool,
    socket: AtomicI32,
    next: OnceLock<Box<WaitSlot>>,
}

/// Tells loom that the sequentially consistent accesses before and after this are so: it knows that of fences only.
fn in_one_order() {
    #[cfg(all(loom, test))]
    loom::sync::atomic::fence(SeqCst);
}

/// All slots, and whether the stop has begun.
struct Stop {
    begun: AtomicBool,
    first: WaitSlot,
}

#[cfg(not(all(loom, test)))]
static STOP: Stop = Stop::new();
#[cfg(all(loom, test))]
static STOP: std::sync::LazyLock<Stop> = std::sync::LazyLock::new(Stop::new);

thread_local! {
    static MINE: Occupied = Occupied(STOP.find_slot());
}

/// The slot of a living thread.
struct Occupied(&'static WaitSlot);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.occupied.store(false, Release);
    }
}

impl WaitSlot {
    #[cfg(not(all(loom, test)))]
    const fn new() -> Self {
        Self { occupied: AtomicBool::new(false), socket: AtomicI32::new(NONE), next: OnceLock::new() }
    }

    #[cfg(all(loom, test))]
    fn new() -> Self {
        Self { occupied: AtomicBool::new(false), socket: AtomicI32::new(NONE), next: OnceLock::new() }
    }
}

/// A socket that is shut down when the child stops, while this lives.
pub struct Watched<'s> {
    seat: &'s WaitSlot,
    socket: BorrowedFd<'s>,
    /// The socket that the thread waited for before: a filter may run another request in the midst of one.
    outer: RawFd,
}

impl Stop {
    #[cfg(not(all(loom, test)))]
    const fn new() -> Self {
        Self { begun: AtomicBool::new(false), first: WaitSlot::new() }
    }

    #[cfg(all(loom, test))]
    fn new() -> Self {
        Self { begun: AtomicBool::new(false), first: WaitSlot::new() }
    }

    fn find_slot(&self) -> &WaitSlot {
        let mut seat = &self.first;
        while seat.occupied.swap(true, AcqRel) {
            seat = seat.next.get_or_init(|| Box::new(WaitSlot::new()));
        }
        seat
    }

    fn watch<'s>(&self, seat: &'s WaitSlot, socket: BorrowedFd<'s>) -> Option<Watched<'s>> {
        // Sequentially consistent, as in `begin`: either that sees the socket, or this sees that it has begun.
        let outer = seat.socket.swap(socket.as_raw_fd(), SeqCst);
        in_one_order();
        let watched = Watched { seat, socket, outer };
        (!self.begun.load(SeqCst)).then_some(watched)
    }

    fn begin(&self) {
        self.begun.store(true, SeqCst);
        in_one_order();
        let mut seats = Some(&self.first);
        while let Some(seat) = seats {
            let mut socket = seat.socket.load(SeqCst);
            while socket >= 0 {
                match seat.socket.compare_exchange(socket, TAKEN, AcqRel, Acquire) {
                    Ok(_) => {
                        hang_up(socket);
                        seat.socket.store(NONE, Release);
                        break;
                    }
                    // The thread has gone back to what it waited for before, which has to end, too. It does so once for
                    // each request that runs in the midst of another: none begins any more.
                    Err(now) => socket = now,
                }
            }
            seats = seat.next.get().map(Box::as_ref);
        }
    }
}

/// Watches a socket that this thread is about to wait for; `None` if the child stops already.
pub fn watch<'s>(socket: &'s impl AsFd) -> Option<Watched<'s>> {
    STOP.watch(MINE.with(|mine| mine.0), socket.as_fd())
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let seat = &self.seat.socket;
        if seat.compare_exchange(self.socket.as_raw_fd(), self.outer, AcqRel, Relaxed).is_ok() {
            return;
        }
        while seat.load(Acquire) == TAKEN {
            yield_now();
        }
        hang_up(self.outer);
    }
}

/// Begins the stop, which is not a graceful one: nobody waits for a process any more.
pub fn begin() {
    STOP.begin();
}

/// Whether the child stops, and not gracefully.
pub fn has_begun() -> bool {
    STOP.begun.load(Relaxed)
}

/// Ends all waits for a socket, if the descriptor is one.
fn hang_up(socket: RawFd) {
    if socket >= 0 {
        // SAFETY: it is open: whoever borrowed it for a `Watched` gives it back only when that is dropped, on the same
        // thread.
        let socket = unsafe { BorrowedFd::borrow_raw(socket) };
        // One that is not connected any more needs nothing.
        let _ = shutdown(socket, Shutdown::Both);
    }
}

/// Each order in which a thread that waits and the stop may run.
#[cfg(all(loom, test))]
mod loom_tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use loom::sync::Arc;

    use super::*;

    /// The two ends of a connection; the first is watched, the other sees its end.
    fn connection() -> (UnixStream, UnixStream) {
        let (watched, peer) = UnixStream::pair().unwrap();
        peer.set_nonblocking(true).unwrap();
        (watched, peer)
    }

    fn is_hung_up(mut peer: &UnixStream) -> bool {
        peer.read(&mut [0]).is_ok_and(|read| read == 0)
    }

    #[test]
    fn loom_who_waits_when_the_stop_comes_is_told() {
        loom::model(|| {
            let (stop, (watched, peer)) = (Arc::new(Stop::new()), connection());
            let theirs = Arc::clone(&stop);
            let stopping = loom::thread::spawn(move || theirs.begin());
            let waits = stop.watch(&stop.first, watched.as_fd()).map(std::mem::forget).is_some();
            stopping.join().unwrap();
            assert!(!waits || is_hung_up(&peer), "it would wait for ever");
        });
    }

    #[test]
    fn loom_a_socket_that_nobody_watches_any_more_is_left_alone() {
        loom::model(|| {
            let (stop, (outer, outer_peer), (inner, inner_peer)) = (Arc::new(Stop::new()), connection(), connection());
            let theirs = Arc::clone(&stop);
            let stopping = loom::thread::spawn(move || theirs.begin());
            let waits = stop.watch(&stop.first, outer.as_fd());
            drop(stop.watch(&stop.first, inner.as_fd()));
            // From here on the number may be that of another connection.
            let before = is_hung_up(&inner_peer);
            let waits = waits.map(std::mem::forget).is_some();
            stopping.join().unwrap();
            assert_eq!(is_hung_up(&inner_peer), before);
            assert!(!waits || is_hung_up(&outer_peer), "the outer one would wait for ever");
        });
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::sync::Barrier;

    /// Reads until the other end, or a stop, ends that.
    fn wait(mut socket: &UnixStream) -> bool {
        socket.read(&mut [0]).is_ok_and(|read| read == 0)
    }

    #[test]
    fn a_stop_ends_what_threads_wait_for_and_nothing_else() {
        let stop = Stop::new();
        // Both threads have sockets that are watched; whether they wait for them already does not matter.
        let watched = Barrier::new(3);
        let [one, outer, inner, idle] = [(); 4].map(|()| UnixStream::pair().unwrap());
        std::thread::scope(|scope| {
            let single = scope.spawn(|| {
                let seat = stop.find_slot();
                drop(stop.watch(seat, idle.0.as_fd()));
                let _watched = stop.watch(seat, one.0.as_fd()).unwrap();
                watched.wait();
                wait(&one.0)
            });
            let nested = scope.spawn(|| {
                let seat = stop.find_slot();
                let _outer = stop.watch(seat, outer.0.as_fd()).unwrap();
                let first = stop.watch(seat, inner.0.as_fd()).unwrap();
                watched.wait();
                let ended = wait(&inner.0);
                drop(first);
                ended && wait(&outer.0)
            });
            watched.wait();
            stop.begin();
            assert!(single.join().unwrap() && nested.join().unwrap());
        });
        assert!(stop.watch(stop.find_slot(), idle.0.as_fd()).is_none(), "no other request begins");
        idle.0.set_nonblocking(true).unwrap();
        assert!(!wait(&idle.0), "nobody waits for this one any more");
    }

    #[test]
    fn a_thread_takes_the_seat_of_one_that_has_ended() {
        let stop = Box::leak(Box::new(Stop::new()));
        let first = Occupied(stop.find_slot());
        assert!(!std::ptr::eq(first.0, stop.find_slot()));
        let seat = std::ptr::from_ref(first.0);
        drop(first);
        assert!(std::ptr::eq(seat, stop.find_slot()));
    }
}
