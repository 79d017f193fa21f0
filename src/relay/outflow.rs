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

use super::client::{Client, SendError, Then};
use super::passed;
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
            if self.room == 0 {
                self.room = room(client);
            }
            let right = client.right_to_wait(false);
            let unseen = limits::UNSEEN.saturating_sub(self.passed);
            let max = if right.is_some() { self.room } else { self.room.min(unseen) };
            if stuck || !self.is_empty() || max == 0 {
                return self.keep_or_wait(client, rest);
            }
            let (piece, others) = rest.split_at(rest.len().min(max));
            self.room -= piece.len();
            self.passed = self.passed.saturating_add(piece.len());
            client.data(&[piece], Then::More)?;
            rest = others;
        }
        Ok(())
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
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::BorrowedFd;
    use std::os::unix::net::UnixStream;

    use wsgi_wire::record::LogRecord;
    use wsgi_wire::request::BodyError;
    use wsgi_wire::response::{Head, Headers};

    use super::*;
    use crate::relay::client::{Gone, Right};

    /// A client that takes what fits into its socket's buffer; or, without a socket, all that comes while it may be
    /// waited for, and nobody can look behind its connection.
    #[derive(Default)]
    struct Slow {
        socket: Option<UnixStream>,
        taken: Vec<u8>,
        may_not_wait: bool,
    }

    impl Slow {
        fn with(socket: UnixStream) -> Self {
            Self { socket: Some(socket), ..Self::default() }
        }
    }

    impl Client for Slow {
        fn read_body(&mut self, _max: usize, _out: &mut Vec<u8>) -> Result<bool, BodyError> {
            Ok(false)
        }
        fn socket(&self) -> Option<BorrowedFd<'_>> {
            self.socket.as_ref().map(AsFd::as_fd)
        }
        fn right_to_wait(&self, _pressing: bool) -> Option<Right> {
            (!self.may_not_wait).then_some(None)
        }
        fn log(&mut self, _record: &LogRecord) {}
        fn early_hints(&mut self, _headers: Headers<'_>) {}
        fn head(&mut self, _head: &Head<'_>) -> Result<(), u16> {
            Ok(())
        }
        fn data(&mut self, pieces: &[&[u8]], _then: Then) -> Result<(), SendError> {
            match &mut self.socket {
                Some(socket) => pieces.iter().try_for_each(|piece| socket.write_all(piece)).map_err(|_| Gone)?,
                None => self.taken.extend(pieces.concat()),
            }
            Ok(())
        }
        fn file(&mut self, _file: OwnedFd, _piece: &File) -> Result<(), SendError> {
            Ok(())
        }
    }

    #[test]
    fn what_a_client_does_not_take_is_kept_in_order_and_given_back() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&ours, 1 << 20).unwrap();
        let (mut client, mut outflow) = (Slow::with(ours), Outflow::default());
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

    #[test]
    fn what_is_kept_has_a_bound_for_one_response_for_all_and_for_the_disk() {
        assert!(may_keep(limits::KEPT - 1, limits::KEPT_IN_ALL - 1));
        assert!(!may_keep(limits::KEPT, 0) && !may_keep(0, limits::KEPT_IN_ALL));
        assert!(leaves_enough(100 * limits::KEPT_LEAVES, 101) && !leaves_enough(100 * limits::KEPT_LEAVES, 100));
        assert!(leaves_enough(0, 0), "who does not tell has room");
        let (large, min) = (1000 * limits::KEPT_LEAVES_AT_MOST, limits::KEPT_LEAVES_AT_MOST);
        assert!(leaves_enough(large, min + 1) && !leaves_enough(large, min));
        // Where nothing more may be kept the client is waited for, and gets everything.
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (mut client, mut outflow) = (Slow::with(ours), Outflow::default());
        outflow.keep(b"first").unwrap();
        (outflow.read, outflow.written) = (limits::KEPT - 5, limits::KEPT);
        pwrite(outflow.file.as_ref().unwrap(), b"first", limits::KEPT - 5).unwrap();
        KEPT.fetch_add(limits::KEPT - 5, Relaxed);
        assert!(!outflow.has_room());
        outflow.data(&mut client, b" second", true).unwrap();
        let mut received = [0; 12];
        theirs.read_exact(&mut received).unwrap();
        assert!(&received == b"first second" && outflow.written == 0);
    }

    #[test]
    fn what_is_kept_and_cannot_be_read_is_our_failure_and_not_the_clients() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (mut client, mut outflow) = (Slow::with(ours), Outflow::default());
        outflow.keep(b"content").unwrap();
        ftruncate(outflow.file.as_ref().unwrap(), 0).unwrap();
        assert_eq!(outflow.drain(&mut client), Err(SendError::Unkept(Errno::NODATA)));
        outflow.file = open("/dev/null", OFlags::WRONLY, Mode::empty()).ok();
        assert_eq!(outflow.drain(&mut client), Err(SendError::Unkept(Errno::BADF)));
    }

    #[test]
    fn a_file_has_no_name_whatever_the_file_system_can() {
        let directory = std::env::temp_dir().join(format!("wsgi-outflow-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let taken = directory.join(format!("wsgi-kept-{}-0", std::process::id()));
        std::fs::write(&taken, "somebody's").unwrap();
        let file = make_in(directory.to_str().unwrap()).unwrap();
        pwrite(&file, b"x", 0).unwrap();
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
        assert_eq!(std::fs::read(&taken).unwrap(), b"somebody's");
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(make_in("/nowhere").is_err());
    }

    #[test]
    fn who_may_not_wait_for_a_client_keeps_what_it_may_not_take() {
        let (mut client, mut outflow) = (Slow::default(), Outflow::default());
        outflow.data(&mut client, &[1; limits::UNSEEN - 1], false).unwrap();
        client.may_not_wait = true;
        outflow.data(&mut client, &[2; 10], false).unwrap();
        assert_eq!(
            (client.taken.len(), outflow.is_empty()),
            (limits::UNSEEN, false),
            "what nobody has to wait for goes down"
        );
        client.may_not_wait = false;
        outflow.data(&mut client, &[3; 10], false).unwrap();
        assert_eq!(client.taken.len(), limits::UNSEEN, "nothing overtakes");
        outflow.drain(&mut client).unwrap();
        assert_eq!(client.taken[limits::UNSEEN - 1..], [[2; 10], [3; 10]].concat());
    }
}
