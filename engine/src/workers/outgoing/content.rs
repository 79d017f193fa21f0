//! Large content of a response on its way out. It goes through the socket, from where the application has it, as long
//! as the child takes it; what the child does not take in time goes into a memory file, so that the thread is free
//! again however slow the client is.

use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg, sockopt};
use wsgi_unix::{memory_file, socket};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::response::File;

use super::{Outgoing, TRANSFERS};
use crate::request::transport::Gone;

/// The longest piece that is sent at once: the usual buffer of a socket takes it when it is not much in use.
const PIECE: usize = 128 << 10;

/// How long one piece of content waits for the child in sum, before the rest of it goes into a memory file. To fill one
/// costs more than a child that reads on needs, and a thread is worth more than either.
const CHILD_WAIT: Duration = Duration::from_millis(20);

/// How many bytes memory files may hold that the child has not picked up, before content goes through the socket and
/// waits there.
const FILES_IN_FLIGHT: usize = 8 << 20;

impl Outgoing {
    /// Sends content at once, and all that is queued before it.
    ///
    /// # Errors
    /// [`Gone`] if nobody takes it.
    pub(in crate::workers) fn pass(&mut self, content: &[u8]) -> Result<(), Gone> {
        self.flush(true)?;
        let rest = self.stream(content)?;
        if !rest.is_empty() {
            self.put_aside(rest);
            self.flush(true)?;
        }
        Ok(())
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
