//! Content of a response on its way out, where it is long or follows some that is. It goes through memory that the
//! child shares, or, where many connections have some already, through the socket, as long as the child takes it; what
//! the child does not take in time goes into a memory file, so that the thread is free again, however slow the client
//! is.

use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg, sockopt};
use wsgi_unix::{fork, memory_file, socket};
use wsgi_wire::codec::Wire;
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::response::File;
use wsgi_wire::ring;

use super::ring::Ring;
use super::{Outgoing, TRANSFERS};
use crate::request::transport::Gone;

/// The longest piece that is sent at once: the usual buffer of a socket takes it when it is not much in use.
const PIECE: usize = 128 << 10;

/// How much is put into the memory before the child is told, bytes: it passes that on while the next part is copied.
const PART: usize = ring::ROOM / 2;

/// How long one piece of content waits for the child in sum, before the rest of it goes into a memory file. To fill one
/// costs more than a child that reads on needs, and a thread is worth more than either.
const CHILD_WAIT: Duration = Duration::from_millis(20);

/// How many bytes memory files may hold that the child has not picked up, before content goes through the socket and
/// waits there.
const FILES_IN_FLIGHT: usize = 8 << 20;

impl Outgoing {
    /// Sends content at once, and all that is queued before it; but for its last part, which may go with what follows.
    ///
    /// # Errors
    /// [`Gone`] if nobody takes it.
    pub(in crate::workers) fn pass(&mut self, content: &[u8]) -> Result<(), Gone> {
        let rest = if self.has_ring() {
            self.share(content)?
        } else {
            self.flush(true)?;
            self.stream(content)?
        };
        if !rest.is_empty() {
            self.put_aside(rest);
            self.flush(true)?;
        }
        Ok(())
    }

    /// Queues content that fits into the memory as a whole. Returns `false` if it does not.
    pub(super) fn shares(&mut self, content: &[u8]) -> bool {
        if !self.has_ring() {
            return false;
        }
        let fits = self.ring.as_ref().is_some_and(|ring| ring.room() >= content.len());
        if fits {
            self.fill(content);
        }
        fits
    }

    /// Whether content of this length need not wait until the child has made room for it.
    pub(in crate::workers) fn has_room(&self, length: usize) -> bool {
        self.ring.as_ref().is_none_or(|ring| !ring.is_in_use() || ring.room() >= length)
    }

    /// Puts content into the memory, which has room for it.
    fn fill(&mut self, content: &[u8]) {
        let Some(ring) = &mut self.ring else { return };
        if ring.write(content) {
            self.tell();
        } else {
            TRANSFERS.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Queues what the child has to be told of content that is in the memory.
    pub(super) fn tell(&mut self) {
        let untold = self.ring.as_mut().map_or(0, Ring::take_untold);
        if untold > 0 {
            self.put_alone(Kind::Filled, |out| untold.put(out));
        }
    }

    /// Notes that content goes another way than through the memory.
    pub(super) fn mix(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.mix();
        }
    }

    /// Whether there is memory that the child shares. It is made when it is first wanted.
    fn has_ring(&mut self) -> bool {
        // A process that was forked off this one does not have it.
        if self.gone || !fork::is_ours() {
            return false;
        }
        if self.ring.is_none() {
            if let Some((ring, file)) = Ring::make() {
                self.ring = Some(ring);
                self.put_with(file, Kind::Ring, |_| ());
            }
        }
        self.ring.is_some()
    }

    /// Puts content into the memory as long as the child takes it, and returns the rest.
    ///
    /// # Errors
    /// [`Gone`]
    fn share<'c>(&mut self, content: &'c [u8]) -> Result<&'c [u8], Gone> {
        let (mut rest, mut wait_left) = (content, CHILD_WAIT);
        loop {
            let Some(ring) = &self.ring else { return Ok(rest) };
            let (piece, later) = rest.split_at(rest.len().min(ring.room()).min(PART));
            if !piece.is_empty() {
                self.fill(piece);
                rest = later;
            }
            if rest.is_empty() {
                return Ok(rest);
            }
            self.flush(true)?;
            if wait_left.is_zero() {
                return Ok(rest);
            }
            if let Some(ring) = self.ring.as_ref().filter(|ring| ring.room() < rest.len().min(PART)) {
                ring.wait_for_room(&mut wait_left);
            }
        }
    }

    /// Sends content as long as the child takes it, and returns the rest. Nothing is queued.
    ///
    /// # Errors
    /// [`Gone`]
    fn stream<'c>(&mut self, content: &'c [u8]) -> Result<&'c [u8], Gone> {
        let (mut rest, mut wait_left) = (content, CHILD_WAIT);
        // A socket that can be written to has three fourths of its buffer free. What the kernel notes about it takes
        // its part of that.
        let buffer = sockopt::socket_send_buffer_size(&self.right.socket).unwrap_or(0);
        let max = (buffer / 8 * 5).min(PIECE);
        while !rest.is_empty() && max > 0 && self.takes(&mut wait_left) {
            let (piece, later) = rest.split_at(rest.len().min(max));
            let Ok(header) = frame::header_in(self.right.exchange(), Kind::Data, piece.len()) else { break };
            let parts = [IoSlice::new(&header), IoSlice::new(piece)];
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            let send = || sendmsg(&self.right.socket, &parts, &mut SendAncillaryBuffer::default(), flags);
            let sent = match retry_on_intr(send) {
                Ok(sent) => sent,
                Err(Errno::AGAIN) => break,
                Err(_) => return Err(self.lost()),
            };
            TRANSFERS.fetch_add(1, Ordering::Relaxed);
            rest = later;
            if sent < header.len() + piece.len() {
                // A frame that has begun has to be ended.
                let (of_header, of_piece) = (sent.min(header.len()), sent.saturating_sub(header.len()));
                self.queued.extend_from_slice(&header[of_header..]);
                self.queued.extend_from_slice(&piece[of_piece..]);
                self.flush(true)?;
            }
        }
        Ok(rest)
    }

    /// Whether the socket can be written to within `wait_left`, from which the time that this took is subtracted.
    fn takes(&self, wait_left: &mut Duration) -> bool {
        let start = Instant::now();
        let wait = Timespec { tv_sec: 0, tv_nsec: wait_left.subsec_nanos().into() };
        // One that is closed can be written to as well: the write tells.
        let ready = poll(&mut [PollFd::new(&self.right.socket, PollFlags::OUT)], Some(&wait));
        *wait_left = wait_left.saturating_sub(start.elapsed());
        ready.is_ok_and(|number| number > 0)
    }

    /// Queues content as a memory file; as it is if the child has not picked up earlier files, or there can be none.
    pub(in crate::workers) fn put_aside(&mut self, content: &[u8]) {
        if self.in_files > 0 && self.is_drained() {
            self.in_files = 0;
        }
        if self.in_files + content.len() <= FILES_IN_FLIGHT || self.in_files == 0 {
            if let Ok(file) = memory_file::sealed("wsgi-response", content) {
                self.in_files += content.len();
                return self.file(file, File { offset: 0, length: content.len() as u64, whole: false });
            }
        }
        self.data(content);
    }

    /// Whether the child has read everything that was sent.
    fn is_drained(&self) -> bool {
        socket::unread(self.right.socket.as_raw_fd()) == Some(0)
    }
}

#[cfg(not(loom))]
#[cfg(test)]
mod tests;
