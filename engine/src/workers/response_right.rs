//! The right to answer a request. It is the worker's, until the monitor takes it for a request that has run out of
//! time: the client then has its answer at once, whatever the worker is stuck in.

use std::sync::atomic::AtomicU16;

#[cfg(all(loom, test))]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(all(loom, test)))]
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::net::{SendFlags, Shutdown, send, shutdown};
use wsgi_unix::fork::Unshared;
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::response::{Fail, Reject};

/// The state in which nothing of the answer has left, and nobody is sending.
const OPEN: u8 = 0;
/// The state in which the worker sends, or has begun to answer.
const BEGUN: u8 = 1;
/// The state in which the monitor has answered. The connection is of no more use.
const TAKEN: u8 = 2;

/// Which thread may send the response: the worker, or the main thread in its place.
struct Right(AtomicU8);

impl Right {
    fn new() -> Self {
        Self(AtomicU8::new(OPEN))
    }

    fn begin(&self) -> bool {
        match self.0.compare_exchange(OPEN, BEGUN, Ordering::Acquire, Ordering::Acquire) {
            Ok(_) => true,
            Err(state) => state == BEGUN,
        }
    }

    fn pause(&self) {
        // Only the worker leaves `BEGUN`, and what is `TAKEN` stays so: the monitor may have been quicker than the
        // worker's last look.
        let _ = self.0.compare_exchange(BEGUN, OPEN, Ordering::Release, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.compare_exchange(OPEN, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// The socket of a connection, and the right to answer on it.
pub(crate) struct ResponseRight {
    /// The socket. It is owned here, so that its number cannot become another's while the monitor has it in hand.
    pub(crate) socket: Unshared,
    right: Right,
    /// The number of the exchange: frames that do not carry it are no part of the answer.
    exchange: AtomicU16,
}

impl ResponseRight {
    /// The right of a connection without a request.
    pub(crate) fn new(socket: Unshared) -> Self {
        Self { socket, right: Right::new(), exchange: AtomicU16::new(0) }
    }

    /// Notes that a request has arrived, in the exchange with this number.
    pub(crate) fn arrived(&self, exchange: u16) {
        self.exchange.store(exchange, Ordering::Relaxed);
        self.pause();
    }

    /// The number of the exchange.
    pub(crate) fn exchange(&self) -> u16 {
        self.exchange.load(Ordering::Relaxed)
    }

    /// Begins to send, as the worker. Returns whether it may.
    pub(crate) fn begin(&self) -> bool {
        self.right.begin()
    }

    /// Notes that what was sent was whole, and not yet the answer: the answer can still be taken over.
    pub(crate) fn pause(&self) {
        self.right.pause();
    }

    /// Answers in the worker's place with Apache's page for a status. Returns whether that was possible: the worker may
    /// have begun to answer.
    pub(crate) fn fail(&self, status: u16) -> bool {
        self.take(Kind::Fail, |out| Fail { status }.put(out))
    }

    /// Answers in the worker's place that the request is not executed. Returns whether that was possible.
    pub(crate) fn reject(&self) -> bool {
        self.take(Kind::Reject, |out| Reject::Draining.put(out))
    }

    fn take(&self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut message = Vec::new();
        if frame::put_in(self.exchange(), &mut message, kind, write).is_err() || !self.right.take() {
            return false;
        }
        // A few bytes into an empty socket. Closed in both directions, no other request can get stuck on it.
        let sent = send(&self.socket, &message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        let _ = shutdown(&self.socket, Shutdown::Both);
        sent == Ok(message.len())
    }
}

/// Each order in which the worker and the monitor may run.
#[cfg(all(loom, test))]
mod loom_tests {
    use loom::sync::Arc;

    use super::*;

    #[test]
    fn loom_worker_and_monitor_never_both_answer() {
        loom::model(|| {
            let right = Arc::new(Right::new());
            let monitors = Arc::clone(&right);
            let monitor = loom::thread::spawn(move || monitors.take());
            // A record or a hint leaves whole, then the answer.
            let hinted = right.begin();
            if hinted {
                right.pause();
            }
            let answered = right.begin();
            let taken = monitor.join().unwrap();
            assert!(answered != taken, "one of them answers, and only one");
            // The connection's next request finds it as it was left.
            right.pause();
            assert_eq!(right.begin(), !taken, "a connection that the monitor has answered on is of no more use");
        });
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn right() -> (ResponseRight, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (ResponseRight::new(std::os::fd::OwnedFd::from(ours).into()), theirs)
    }

    #[test]
    fn only_one_answers() {
        let (right, mut child) = right();
        right.arrived(7);
        assert!(right.begin() && right.begin());
        assert!(!right.fail(504));
        right.pause();
        assert!(right.fail(504));
        assert!(!right.begin() && !right.fail(504) && !right.reject());
        let mut received = Vec::new();
        child.read_to_end(&mut received).unwrap();
        let frame = frame::first(&received).unwrap().unwrap();
        assert_eq!((frame.kind, frame.exchange, frame.size()), (Kind::Fail, 7, received.len()));
    }
}
