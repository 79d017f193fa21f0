//! The content of a response on its way to a client that may be slow: what the client does not take is kept, in an unlinked file, so that the process can
//! finish and its thread be somebody else's.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, Mode, OFlags, ftruncate, memfd_create, open};
use rustix::io::{pread, pwrite, retry_on_intr};
use rustix::net::sockopt;
use wsgi_wire::limits;
use wsgi_wire::response::File;

use super::violation::Violation;
use super::{Client, Gone, Halt, Then, passed};

/// How much of a file is read at once.
const PIECE: usize = 64 << 10;

/// What any connection takes that takes something: a third of the least buffer that Linux gives one which is established.
pub const LEAST: usize = 16 << 10;

/// Where what is kept is written, the first that there is: a disk, rather than memory, if possible.
const FOLDERS: [&str; 2] = ["/var/tmp", "/tmp"];

/// How long the files of all requests of this Apache child are.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// One response on its way.
#[derive(Debug, Default)]
pub struct Outflow {
    /// What is kept is between these two places.
    file: Option<OwnedFd>,
    read: u64,
    written: u64,
    /// How much the client takes, as it was last seen, without anybody having to wait.
    room: usize,
}

impl Outflow {
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.read == self.written
    }

    /// Whether more may be kept, of this response and of all.
    pub fn has_room(&self) -> bool {
        self.written < limits::KEPT && KEPT.load(Relaxed) < limits::KEPT_IN_ALL
    }

    /// Whether the client takes so much now; it is given that then.
    pub fn takes(&mut self, client: &impl Client, length: u64) -> bool {
        if (self.room as u64) < length {
            self.room = room(client);
        }
        let left = usize::try_from(length).ok().and_then(|length| self.room.checked_sub(length));
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// Passes content down as far as the client takes it, and keeps the rest. `stuck`: it is known to take nothing.
    ///
    /// # Errors
    /// [`Halt`]: the client, which is waited for when nothing more can be kept, is gone; or the content is not sent on.
    pub fn data(&mut self, client: &mut impl Client, content: &[u8], stuck: bool) -> Result<(), Halt> {
        let mut rest = content;
        while !rest.is_empty() {
            if self.room == 0 {
                self.room = room(client);
            }
            if stuck || !self.is_empty() || self.room == 0 {
                return self.keep_or_wait(client, rest);
            }
            let (piece, others) = rest.split_at(rest.len().min(self.room));
            self.room -= piece.len();
            client.data(&[piece], Then::More)?;
            rest = others;
        }
        Ok(())
    }

    fn keep_or_wait(&mut self, client: &mut impl Client, content: &[u8]) -> Result<(), Halt> {
        if self.has_room() && self.keep(content).is_ok() {
            return Ok(());
        }
        self.drain(client)?;
        client.data(&[content], Then::More)
    }

    /// As [`Self::data`], for the content of a memory file.
    ///
    /// # Errors
    /// [`Halt`]; also because the file is none that may be passed, or ends too early.
    pub fn file(&mut self, client: &mut impl Client, file: &OwnedFd, piece: &File, stuck: bool) -> Result<(), Halt> {
        passed::check(file.as_fd(), piece).map_err(Violation::from)?;
        let (mut buffer, mut offset, mut left) = (vec![0; PIECE], piece.offset, piece.length);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let read = retry_on_intr(|| pread(file, &mut buffer[..most], offset)).unwrap_or(0);
            if read == 0 {
                return Err(Violation::Short.into());
            }
            self.data(client, &buffer[..read], stuck)?;
            (offset, left) = (offset.saturating_add(read as u64), left - read as u64);
        }
        Ok(())
    }

    /// Passes a piece of what is kept down: the client takes something.
    ///
    /// # Errors
    /// [`Halt`]
    pub fn pass_kept(&mut self, client: &mut impl Client) -> Result<(), Halt> {
        let Some(file) = self.file.as_ref().filter(|_| self.read < self.written) else { return Ok(()) };
        let left = usize::try_from(self.written - self.read).unwrap_or(LEAST);
        let mut buffer = [0; LEAST];
        let buffer = &mut buffer[..left.min(LEAST)];
        let read = retry_on_intr(|| pread(file, &mut *buffer, self.read)).map_err(|_| Gone)?;
        if read == 0 {
            // Nobody else has the file: only a disk that fails can lose what was in it.
            return Err(Gone.into());
        }
        self.read += read as u64;
        if self.is_empty() && ftruncate(file, 0).is_ok() {
            KEPT.fetch_sub(self.written, Relaxed);
            (self.read, self.written) = (0, 0);
        }
        client.data(&[&buffer[..read]], Then::More)
    }

    /// Passes down all that is kept, waiting for the client.
    ///
    /// # Errors
    /// [`Halt`]
    pub fn drain(&mut self, client: &mut impl Client) -> Result<(), Halt> {
        while !self.is_empty() {
            self.pass_kept(client)?;
        }
        Ok(())
    }

    fn keep(&mut self, content: &[u8]) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(make_file()?),
        };
        let mut rest = content;
        let mut at = self.written;
        while !rest.is_empty() {
            let written = retry_on_intr(|| pwrite(file, rest, at))?;
            (rest, at) = (&rest[written..], at + written as u64);
        }
        KEPT.fetch_add(content.len() as u64, Relaxed);
        self.written = at;
        Ok(())
    }
}

impl Drop for Outflow {
    fn drop(&mut self) {
        if self.written > 0 {
            KEPT.fetch_sub(self.written, Relaxed);
        }
    }
}

/// Whether the client takes nothing now, as far as that can be told.
pub fn is_blocked(client: &impl Client) -> bool {
    let Some(socket) = client.socket() else { return false };
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut [PollFd::new(&socket.as_fd(), PollFlags::OUT)], Some(&now)), Ok(0))
}

/// How much the client takes now. A socket that may be written to has a third of its buffer free at the least; half of that may be the system's own
/// bookkeeping.
fn room(client: &impl Client) -> usize {
    let Some(socket) = client.socket() else { return usize::MAX };
    if is_blocked(client) {
        return 0;
    }
    sockopt::socket_send_buffer_size(socket).map_or(LEAST, |size| (size / 6).max(LEAST))
}

/// A file that nobody else finds.
fn make_file() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::TMPFILE;
    let on_disk = FOLDERS.iter().find_map(|folder| open(*folder, flags, Mode::RUSR | Mode::WUSR).ok());
    match on_disk {
        Some(file) => Ok(file),
        None => Ok(memfd_create("wsgi-kept", MemfdFlags::CLOEXEC)?),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::BorrowedFd;
    use std::os::unix::net::UnixStream;

    use wsgi_wire::record::LogRecord;
    use wsgi_wire::request::BodyError;
    use wsgi_wire::response::{Head, Headers};

    use super::*;

    /// A client that takes what fits into its socket's buffer.
    struct Slow(UnixStream);

    impl Client for Slow {
        fn read_body(&mut self, _max: usize, _out: &mut Vec<u8>) -> Result<bool, BodyError> {
            Ok(false)
        }
        fn socket(&self) -> Option<BorrowedFd<'_>> {
            Some(self.0.as_fd())
        }
        fn log(&mut self, _record: &LogRecord) {}
        fn early_hints(&mut self, _headers: Headers<'_>) {}
        fn head(&mut self, _head: &Head<'_>) -> Result<(), u16> {
            Ok(())
        }
        fn data(&mut self, pieces: &[&[u8]], _then: Then) -> Result<(), Halt> {
            Ok(pieces.iter().try_for_each(|piece| self.0.write_all(piece)).map_err(|_| Gone)?)
        }
        fn file(&mut self, _file: OwnedFd, _piece: &File) -> Result<(), Halt> {
            Ok(())
        }
    }

    #[test]
    fn what_a_client_does_not_take_is_kept_in_order_and_given_back() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&ours, 1 << 20).unwrap();
        let (mut client, mut outflow) = (Slow(ours), Outflow::default());
        let content: Vec<u8> = (0..6_000_000u32).map(|n| (n / 7) as u8).collect();
        for piece in content[..5_000_000].chunks(10_000) {
            outflow.data(&mut client, piece, false).unwrap();
        }
        assert!(!outflow.is_empty() && KEPT.load(Relaxed) > 0, "nobody reads, and nothing has waited");
        // A memory file that comes behind it is kept, too.
        let file = make_file().unwrap();
        pwrite(&file, &content[4_999_000..], 0).unwrap();
        let piece = |length| File { offset: 1000, length, whole: false };
        assert!(outflow.file(&mut client, &file, &piece(1_000_000), false).is_ok());
        let reader = std::thread::spawn(move || {
            let mut received = vec![0; 6_000_000];
            theirs.read_exact(&mut received).unwrap();
            received
        });
        outflow.drain(&mut client).unwrap();
        assert!(reader.join().unwrap() == content);
        assert!(outflow.is_empty() && outflow.written == 0);
        outflow.keep(b"x").unwrap();
        assert!(outflow.file(&mut client, &file, &piece(1_000_001), false).is_err(), "more is announced than there is");
    }
}
