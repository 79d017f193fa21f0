//! The bytes and descriptors that a daemon process has sent and that have not been handled yet.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt};
use wsgi_wire::codec::DecodeError;
use wsgi_wire::frame::{self, Frame};
use wsgi_wire::limits;

/// How many bytes the first read asks for: a small response arrives with one read, and many threads never see another
/// one.
const FIRST: usize = 8 << 10;

/// How many bytes later reads ask for.
const ROOM: usize = 64 << 10;

/// How many bytes a read asks for at least.
const MIN: usize = 4 << 10;

/// How much memory a thread keeps from one request to the next: what the usual frames of content take.
const KEPT: usize = 2 * limits::INLINE_CHUNK;

/// Descriptors that may come with one read, as many as there can be: the kernel ends a read behind the first message
/// that carries any.
const DESCRIPTORS: usize = limits::PASSED;

/// The bytes and descriptors that were received and not yet consumed.
#[derive(Debug, Default)]
pub struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    descriptors: VecDeque<OwnedFd>,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// Some bytes have come.
    Bytes,
    /// The other side has closed.
    Closed,
}

impl Inbox {
    /// The bytes that are there.
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.start == self.end && self.descriptors.is_empty()
    }

    /// The next whole frame, if it is all there, and where it ends; see [`Self::consume`].
    ///
    /// # Errors
    /// [`DecodeError`]: the connection is of no more use.
    pub fn first(&self) -> Result<Option<Frame<'_>>, DecodeError> {
        frame::first(self.bytes())
    }

    /// Whether this whole frame follows the first `size` bytes.
    pub fn is_followed_by(&self, size: usize, frame: Frame<'_>) -> bool {
        frame::first(self.bytes().get(size..).unwrap_or(&[])) == Ok(Some(frame))
    }

    /// Drops a frame of this size.
    pub fn consume(&mut self, size: usize) {
        self.start = (self.start + size).min(self.end);
    }

    /// How many descriptors are there.
    pub fn descriptors(&self) -> usize {
        self.descriptors.len()
    }

    /// Takes the oldest descriptor.
    pub fn descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    /// Reads once, waiting for it unless told not to.
    ///
    /// # Errors
    /// Those of `recvmsg`; `WouldBlock` when the socket's receive time-out is over, or at once if it must not wait.
    pub fn receive(&mut self, socket: impl AsFd, wait: bool) -> io::Result<Received> {
        self.make_room();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = if wait { RecvFlags::CMSG_CLOEXEC } else { RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT };
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(&socket, &mut [IoSliceMut::new(&mut self.buffer[self.end..])], &mut ancillary, flags)
        })?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                // What is a connection would otherwise have whoever closes it last wait as long as the application
                // likes (SO_LINGER).
                let prompt = descriptors.inspect(|fd| sockopt::set_socket_linger(fd, None).unwrap_or_default());
                self.descriptors.extend(prompt);
            }
        }
        self.end += received.bytes;
        Ok(if received.bytes == 0 { Received::Closed } else { Received::Bytes })
    }

    /// Whether the last read has taken all that it had room for: there may be more.
    pub fn is_full(&self) -> bool {
        self.end == self.buffer.len()
    }

    /// Makes room for more of the first frame, or for a usual read.
    fn make_room(&mut self) {
        let was_full = !self.buffer.is_empty() && self.end == self.buffer.len();
        let usual = if was_full { ROOM } else { FIRST };
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let wanted = self.end + frame::room(self.bytes(), usual.saturating_sub(self.end).max(MIN));
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
    }

    /// Takes memory that a thread keeps for one inbox after the other, if this one has none.
    pub fn borrow_memory(&mut self, kept: &mut Self) {
        if self.buffer.capacity() == 0 {
            self.buffer = std::mem::take(&mut kept.buffer);
        }
    }

    /// Gives the memory back, if nothing is in it.
    pub fn give_memory_back(&mut self, kept: &mut Self) {
        if self.is_empty() {
            self.clear();
            kept.buffer = std::mem::take(&mut self.buffer);
        }
    }

    /// Forgets everything, and memory beyond the usual: one huge frame must not stay allocated in each thread.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
        self.descriptors = VecDeque::new();
        if self.buffer.len() > KEPT {
            self.buffer = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use wsgi_wire::frame::Kind;

    #[test]
    fn frames_come_out_whole_however_they_were_sent() {
        let (mut daemon, child) = UnixStream::pair().unwrap();
        let mut inbox = Inbox::default();
        let mut sent = Vec::new();
        frame::put(&mut sent, Kind::Data, |out| out.extend_from_slice(&[7; 100_000])).unwrap();
        frame::put(&mut sent, Kind::End, |out| out.push(0)).unwrap();
        let sender = std::thread::spawn(move || {
            for piece in sent.chunks(30_000) {
                daemon.write_all(piece).unwrap();
            }
        });
        while inbox.first().unwrap().is_none() {
            assert_eq!(inbox.receive(&child, true).unwrap(), Received::Bytes);
        }
        let size = {
            let frame = inbox.first().unwrap().unwrap();
            assert_eq!((frame.kind, frame.payload.len()), (Kind::Data, 100_000));
            frame.size()
        };
        inbox.consume(size);
        while inbox.first().unwrap().is_none() {
            inbox.receive(&child, true).unwrap();
        }
        assert_eq!(inbox.first().unwrap().unwrap().kind, Kind::End);
        inbox.consume(9);
        assert!(inbox.is_empty());
        sender.join().unwrap();
        assert_eq!(inbox.receive(&child, true).unwrap(), Received::Closed);
    }

    #[test]
    fn memory_grows_with_what_has_arrived_and_is_given_back() {
        let (mut daemon, child) = UnixStream::pair().unwrap();
        let mut inbox = Inbox::default();
        daemon.write_all(&frame::header(Kind::Request, limits::FRAME).unwrap()).unwrap();
        inbox.receive(&child, true).unwrap();
        daemon.write_all(b"x").unwrap();
        inbox.receive(&child, true).unwrap();
        assert!(inbox.buffer.len() <= 2 * ROOM, "a header alone costs {}", inbox.buffer.len());
        let sender = std::thread::spawn(move || daemon.write_all(&vec![7; 3 << 20]).unwrap());
        while inbox.bytes().len() < 3 << 20 {
            inbox.receive(&child, true).unwrap();
            assert!(inbox.buffer.len() <= 2 * inbox.bytes().len() + ROOM);
        }
        sender.join().unwrap();
        inbox.clear();
        assert_eq!(inbox.buffer.capacity(), 0);
    }

    #[test]
    fn short_answers_cost_a_thread_little_memory_and_long_ones_few_reads() {
        let (mut daemon, child) = UnixStream::pair().unwrap();
        let mut inbox = Inbox::default();
        for _ in 0..3 {
            daemon.write_all(&[7; 100]).unwrap();
            inbox.receive(&child, true).unwrap();
            assert_eq!(inbox.buffer.len(), FIRST);
            inbox.consume(100);
        }
        daemon.write_all(&[7; ROOM]).unwrap();
        inbox.receive(&child, true).unwrap();
        inbox.consume(FIRST);
        inbox.receive(&child, true).unwrap();
        assert_eq!(inbox.bytes().len(), ROOM - FIRST, "all the rest at once");
    }

    #[test]
    fn without_waiting_nothing_is_an_error_of_its_own() {
        let (_daemon, child) = UnixStream::pair().unwrap();
        let error = Inbox::default().receive(&child, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
