//! The content of a response on its way to a client that may be slow: what the client does not take is kept, in an
//! unlinked file, so that the process can finish and its thread be somebody else's.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fstatvfs, ftruncate, open, unlink};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};
use rustix::net::sockopt;
use wsgi_wire::limits;
use wsgi_wire::response::File;

use super::client::{Client, Right, SendError, Then};
use super::passed;
use super::ring::Filled;
use super::violation::Violation;

/// How much of a file is read at once, bytes.
const PIECE: usize = 64 << 10;

/// How many bytes a connection takes that takes anything: a third of the smallest buffer that Linux gives an
/// established one.
pub const MIN: usize = 16 << 10;

/// How many bytes are written between two looks at the room on the disk.
const STEP: u64 = 1 << 20;

/// The directories for files of kept content, of which the first that exists is used: a disk, rather than memory, if
/// possible.
const DIRECTORIES: [&str; 2] = ["/var/tmp", "/tmp"];

/// How long the files of all requests of this Apache child are together, bytes.
static KEPT: AtomicU64 = AtomicU64::new(0);

/// The content of one response.
#[derive(Debug, Default)]
pub struct Outflow {
    /// The file of kept content, which lies between the two offsets.
    file: Option<OwnedFd>,
    read: u64,
    written: u64,
    /// How many bytes the client takes without anybody having to wait, as it was last seen.
    room: usize,
    /// How many bytes have been passed down as they came.
    passed: usize,
}

impl Outflow {
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.read == self.written
    }

    /// Whether more may be kept, of this response and of all.
    pub fn has_room(&self) -> bool {
        may_keep(self.written, KEPT.load(Relaxed))
    }

    /// Whether the client takes this many bytes now. The caller then gives it these.
    pub fn takes(&mut self, client: &impl Client, length: u64) -> bool {
        if (self.room as u64) < length {
            self.room = room(client);
        }
        let left = usize::try_from(length).ok().and_then(|length| self.room.checked_sub(length));
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// Passes content down as far as the client takes it, and keeps the rest. `stuck`: the client is known to take
    /// nothing.
    ///
    /// # Errors
    /// [`SendError`]: the client, which is waited for when nothing more can be kept, is gone; or the content is not
    /// sent on.
    pub fn data(&mut self, client: &mut impl Client, content: &[u8], stuck: bool) -> Result<(), SendError> {
        let mut rest = content;
        while !rest.is_empty() {
            let (max, _right) = self.admit(client, rest.len(), stuck);
            if max == 0 {
                return self.keep_or_wait(client, rest);
            }
            let (piece, others) = rest.split_at(max);
            client.data(&[piece], Then::More)?;
            rest = others;
        }
        Ok(())
    }

    /// Takes content that is in memory of the process, as [`Self::data`] takes bytes.
    ///
    /// # Errors
    /// [`SendError`]
    pub fn filled(&mut self, client: &mut impl Client, content: Filled<'_>, stuck: bool) -> Result<(), SendError> {
        let mut at = 0;
        while at < content.length() && client.takes_unseen() {
            let (max, _right) = self.admit(client, content.length() - at, stuck);
            if max == 0 {
                break;
            }
            content.part(at, max).try_for_each(|piece| client.unseen(&[piece], Then::More))?;
            at += max;
        }
        if at < content.length() {
            return self.data(client, &content.copy(at)?, stuck);
        }
        Ok(())
    }

    /// How many bytes of so many go down now, which the caller then gives the client, and the right to do so.
    fn admit(&mut self, client: &impl Client, length: usize, stuck: bool) -> (usize, Option<Right>) {
        if self.room == 0 {
            self.room = room(client);
        }
        let right = client.right_to_wait(false);
        let unseen = limits::UNSEEN.saturating_sub(self.passed);
        let max = if right.is_some() { self.room } else { self.room.min(unseen) };
        if stuck || !self.is_empty() {
            return (0, right);
        }
        let admitted = max.min(length);
        self.room -= admitted;
        self.passed = self.passed.saturating_add(admitted);
        (admitted, right)
    }

    fn keep_or_wait(&mut self, client: &mut impl Client, content: &[u8]) -> Result<(), SendError> {
        if self.has_room() && self.keep(content).is_ok() {
            return Ok(());
        }
        self.drain(client)?;
        client.data(&[content], Then::More)
    }

    /// Takes the content of a memory file, as [`Self::data`] takes bytes.
    ///
    /// # Errors
    /// [`SendError`], also if the file may not be passed or ends too early.
    pub fn file(
        &mut self,
        client: &mut impl Client,
        file: &OwnedFd,
        piece: &File,
        stuck: bool,
    ) -> Result<(), SendError> {
        passed::check(file.as_fd(), piece).map_err(Violation::from)?;
        let (mut buffer, mut offset, mut left) = (vec![0; PIECE], piece.offset, piece.length);
        while left > 0 {
            let max = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let read = retry_on_intr(|| pread(file, &mut buffer[..max], offset)).unwrap_or(0);
            if read == 0 {
                return Err(Violation::Short.into());
            }
            self.data(client, &buffer[..read], stuck)?;
            (offset, left) = (offset.saturating_add(read as u64), left - read as u64);
        }
        Ok(())
    }

    /// Passes a piece of the kept content down, which the client takes.
    pub fn pass_kept(&mut self, client: &mut impl Client) -> Result<(), SendError> {
        let Some(file) = self.file.as_ref().filter(|_| self.read < self.written) else { return Ok(()) };
        let left = usize::try_from(self.written - self.read).unwrap_or(MIN);
        let mut buffer = [0; MIN];
        let buffer = &mut buffer[..left.min(MIN)];
        // Nobody else has the file: only a disk that fails, or root, can lose what was in it.
        let read = match retry_on_intr(|| pread(file, &mut *buffer, self.read)) {
            Ok(0) => return Err(SendError::Unkept(Errno::NODATA)),
            Ok(read) => read,
            Err(error) => return Err(SendError::Unkept(error)),
        };
        self.read += read as u64;
        if self.is_empty() && ftruncate(file, 0).is_ok() {
            KEPT.fetch_sub(self.written, Relaxed);
            (self.read, self.written) = (0, 0);
        }
        client.data(&[&buffer[..read]], Then::More)
    }

    /// Passes down all kept content, waiting for the client.
    ///
    /// # Errors
    /// [`SendError`]
    pub fn drain(&mut self, client: &mut impl Client) -> Result<(), SendError> {
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
        if at / STEP != (at + content.len() as u64) / STEP || at == 0 {
            check_disk(file)?;
        }
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

/// Passes content down that is in memory of the process, and the end of the response.
///
/// # Errors
/// [`SendError`]
pub fn pass_whole(client: &mut impl Client, content: Filled<'_>) -> Result<(), SendError> {
    // Of a small response a copy is kept in any case.
    if content.length() > MIN && client.takes_unseen() {
        let pieces: Vec<_> = content.part(0, content.length()).collect();
        return client.unseen(&pieces, Then::End);
    }
    client.data(&[&content.copy(0)?], Then::End)
}

/// Whether the client takes nothing now, as far as that can be told.
pub fn is_blocked(client: &impl Client) -> bool {
    let Some(socket) = client.socket() else { return false };
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    matches!(poll(&mut [PollFd::new(&socket.as_fd(), PollFlags::OUT)], Some(&now)), Ok(0))
}

/// How many bytes the client takes now. A socket that may be written to has at least a third of its buffer free; half
/// of that may be the system's own bookkeeping.
fn room(client: &impl Client) -> usize {
    let Some(socket) = client.socket() else { return usize::MAX };
    if is_blocked(client) {
        return 0;
    }
    sockopt::socket_send_buffer_size(socket).map_or(MIN, |size| (size / 6).max(MIN))
}

/// Whether more may be kept where this much of the response, and of all responses, is kept already.
fn may_keep(own: u64, all: u64) -> bool {
    own < limits::KEPT && all < limits::KEPT_IN_ALL
}

/// Fails if the disk is nearly full: the last of it is for others.
fn check_disk(file: &OwnedFd) -> io::Result<()> {
    let disk = fstatvfs(file)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    if leaves_enough(bytes(disk.f_blocks), bytes(disk.f_bavail)) { Ok(()) } else { Err(Errno::NOSPC.into()) }
}

/// Whether a file system of this size with so many bytes free has some for us. Some file systems do not tell their
/// size.
fn leaves_enough(bytes: u64, free: u64) -> bool {
    bytes == 0 || free > (bytes / limits::KEPT_LEAVES).min(limits::KEPT_LEAVES_AT_MOST)
}

/// Makes a file that no other process can find.
fn make_file() -> io::Result<OwnedFd> {
    let made = DIRECTORIES.iter().find_map(|directory| make_unnamed(directory).or_else(|_| make_in(directory)).ok());
    made.ok_or_else(|| Errno::NOENT.into())
}

fn make_unnamed(directory: &str) -> Result<OwnedFd, Errno> {
    open(directory, OFlags::RDWR | OFlags::CLOEXEC | OFlags::TMPFILE, Mode::RUSR | Mode::WUSR)
}

/// Makes such a file where the file system has no files without a name. Somebody may have taken a name, so several are
/// tried.
fn make_in(directory: &str) -> Result<OwnedFd, Errno> {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let make = |_| {
        let name = format!("{directory}/wsgi-kept-{}-{}", std::process::id(), MADE.fetch_add(1, Relaxed));
        let file = open(&*name, flags, Mode::RUSR | Mode::WUSR)?;
        unlink(&*name).map(|()| file)
    };
    let mut tries = (0..TRIES).map(make);
    tries.find(|made| !matches!(made, Err(Errno::EXIST))).unwrap_or(Err(Errno::EXIST))
}

/// How many names are tried.
const TRIES: u32 = 8;

#[cfg(test)]
mod tests;
