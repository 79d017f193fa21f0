//! Frames over a control socket, read and written without ever waiting.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use wsgi_wire::codec::DecodeError;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;

use crate::sys::descriptors;

/// How many bytes are read at a time.
const READ: usize = 64 << 10;

/// One end of a control socket.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The longest payload that the peer may send.
    max: usize,
    /// Descriptors that have arrived and no message has claimed; `None` where the peer may not send any.
    passed: Option<VecDeque<OwnedFd>>,
    /// Whether the peer has sent descriptors although it may not.
    stray: bool,
}

impl Channel {
    /// Makes a channel that takes no descriptors: those of a daemon, which runs foreign code, are dropped by the
    /// kernel, and the daemon is not listened to any more.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            max: limits::DAEMON_FRAME,
            passed: None,
            stray: false,
        })
    }

    /// Makes a channel to the Apache parent, which may send descriptors.
    pub fn with_descriptors(stream: UnixStream) -> io::Result<Self> {
        Ok(Self { max: limits::FRAME, passed: Some(VecDeque::new()), ..Self::new(stream)? })
    }

    /// Reads once. Returns `false` if the peer has closed, or the connection is broken.
    pub fn receive(&mut self) -> bool {
        let start = self.input.len();
        self.input.resize(start + READ, 0);
        let buffer = &mut self.input[start..];
        let result = match &mut self.passed {
            Some(passed) => descriptors::receive(&self.stream, buffer, passed),
            None => descriptors::receive_alone(&self.stream, buffer).map(|(length, stray)| {
                self.stray |= stray;
                length
            }),
        };
        self.input.truncate(start + result.as_ref().map_or(0, |n| *n));
        match result {
            Ok(n) => n > 0,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Takes the next whole frame out of what was read.
    ///
    /// # Errors
    /// The peer does not keep to the protocol; nothing more can be read from it.
    pub fn next(&mut self) -> Result<Option<(Kind, Vec<u8>)>, DecodeError> {
        if self.stray {
            return Err(DecodeError::Descriptor);
        }
        let length = frame::needed(&self.input) - frame::HEADER;
        if length > self.max {
            return Err(DecodeError::TooLong(length));
        }
        let Some(frame) = frame::first(&self.input)? else { return Ok(None) };
        let (kind, payload, size) = (frame.kind, frame.payload.to_vec(), frame.size());
        self.input.drain(..size);
        Ok(Some((kind, payload)))
    }

    /// The next `count` descriptors that came along, or `None` if there are not so many.
    pub fn take_descriptors(&mut self, count: usize) -> Option<Vec<OwnedFd>> {
        let passed = self.passed.as_mut()?;
        (passed.len() >= count).then(|| passed.drain(..count).collect())
    }

    /// Sends a frame, now or when the peer reads.
    ///
    /// # Errors
    /// The payload is longer than a frame can be.
    pub fn send(&mut self, kind: Kind, payload: &[u8]) -> Result<(), DecodeError> {
        frame::put(&mut self.output, kind, |out| out.extend_from_slice(payload))?;
        self.flush();
        Ok(())
    }

    /// Sends what is left, as far as the peer takes it. The end of a peer that is gone is noticed elsewhere.
    pub fn flush(&mut self) {
        match self.stream.write(&self.output) {
            Ok(sent) => drop(self.output.drain(..sent)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.output.clear(),
        }
    }

    /// Whether something is left to send.
    pub fn wants_to_send(&self) -> bool {
        !self.output.is_empty()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Read};
    use std::mem::MaybeUninit;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    #[test]
    fn frames_arrive_whole_however_they_were_cut() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(here).unwrap();
        let mut data = Vec::new();
        frame::put(&mut data, Kind::Draining, |out| out.push(4)).unwrap();
        frame::put(&mut data, Kind::Ready, |_| {}).unwrap();
        let (first, second) = data.split_at(5);
        (&there).write_all(first).unwrap();
        assert!(channel.receive() && channel.next().unwrap().is_none());
        (&there).write_all(second).unwrap();
        assert!(channel.receive());
        assert_eq!(channel.next().unwrap(), Some((Kind::Draining, vec![4])));
        assert_eq!(channel.next().unwrap(), Some((Kind::Ready, vec![])));
        assert!(channel.receive(), "nothing to read is not the end");
        drop(there);
        assert!(!channel.receive());
    }

    #[test]
    fn a_daemon_that_announces_a_long_frame_is_not_listened_to() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(here).unwrap();
        (&there).write_all(&frame::header(Kind::Loaded, limits::DAEMON_FRAME).unwrap()).unwrap();
        (&there).write_all(&[7; limits::DAEMON_FRAME]).unwrap();
        while channel.input.len() < frame::HEADER + limits::DAEMON_FRAME {
            assert!(channel.receive());
        }
        assert_eq!(channel.next(), Ok(Some((Kind::Loaded, vec![7; limits::DAEMON_FRAME]))));
        let header = frame::header(Kind::Loaded, limits::DAEMON_FRAME + 1).unwrap();
        (&there).write_all(&header).unwrap();
        assert!(channel.receive());
        assert_eq!(channel.next(), Err(DecodeError::TooLong(limits::DAEMON_FRAME + 1)));
    }

    #[test]
    fn a_daemon_that_passes_a_descriptor_is_not_listened_to() {
        let (here, there) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(here).unwrap();
        let mut data = Vec::new();
        frame::put(&mut data, Kind::Draining, |out| out.push(4)).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let passed = [there.as_fd()];
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&passed)));
        sendmsg(&there, &[IoSlice::new(&data)], &mut ancillary, SendFlags::empty()).unwrap();
        assert!(channel.receive());
        assert_eq!(channel.next(), Err(DecodeError::Descriptor));
    }

    #[test]
    fn a_long_message_waits_for_its_reader() {
        let (here, mut there) = UnixStream::pair().unwrap();
        let mut channel = Channel::new(here).unwrap();
        let payload = vec![7; 2 << 20];
        channel.send(Kind::Start, &payload).unwrap();
        assert!(channel.wants_to_send());
        let reader = std::thread::spawn(move || {
            let mut all = vec![0; frame::HEADER + (2 << 20)];
            there.read_exact(&mut all).map(|()| all)
        });
        while channel.wants_to_send() {
            channel.flush();
        }
        assert_eq!(reader.join().unwrap().unwrap()[frame::HEADER..], payload);
    }
}
