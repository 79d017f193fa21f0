//! File descriptors that come from elsewhere: from the Apache parent at start, and with its messages.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use wsgi_wire::descriptors::daemon::FIRST_UNNAMED;
use wsgi_wire::descriptors::supervisor as contract;

/// The descriptors that the Apache parent leaves to this program.
#[derive(Debug)]
pub struct Inherited {
    /// The control socket of the Apache parent.
    pub control: UnixStream,
    /// The process table.
    pub table: OwnedFd,
    /// The scoreboard, if a group has `server-metrics`.
    pub scoreboard: Option<OwnedFd>,
    /// Descriptors that take up the other numbers with a meaning in a daemon: so nothing that a new process needs until
    /// its exec can be overwritten.
    pub placeholders: Vec<OwnedFd>,
}

/// Takes the descriptors that [`wsgi_wire::descriptors::supervisor`] names and closes all that follow, such as Apache's
/// listening sockets. To be called once, before anything is opened.
///
/// # Errors
/// If the first two are not open: then this process was not started by the Apache module.
pub fn inherit() -> io::Result<Inherited> {
    close_from(contract::FIRST_UNNAMED);
    let [control, table, scoreboard] = [contract::CONTROL, contract::TABLE, contract::SCOREBOARD].map(take);
    let mut inherited =
        Inherited { control: control?.into(), table: table?, scoreboard: scoreboard.ok(), placeholders: vec![] };
    loop {
        let placeholder = OwnedFd::from(std::fs::File::open("/dev/null")?);
        if placeholder.as_raw_fd() >= FIRST_UNNAMED {
            return Ok(inherited);
        }
        inherited.placeholders.push(placeholder);
    }
}

/// Takes the descriptor that was left under this number. For the functions here that are called before anything is
/// opened.
fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: nothing in this process has opened a descriptor yet, so whatever has this number is ours alone; fcntl
    // below refuses a number that is not open before it is used.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    match fcntl_setfd(&fd, FdFlags::CLOEXEC) {
        Ok(()) => Ok(fd),
        Err(error) => {
            std::mem::forget(fd);
            Err(io::Error::from(error))
        }
    }
}

/// Takes the exporter's socket ([`wsgi_wire::descriptors::exporter`]). To be called once, before anything is opened.
///
/// # Errors
/// If it is not open: then this process was not started by the supervisor.
pub fn inherit_told() -> io::Result<OwnedFd> {
    take(wsgi_wire::descriptors::exporter::TOLD)
}

/// Closes all descriptors from `first` on.
fn close_from(first: RawFd) {
    #[cfg(target_os = "linux")]
    // SAFETY: nobody in this process owns a descriptor in the range: it is called before anything is opened.
    if unsafe { libc::syscall(libc::SYS_close_range, first, RawFd::MAX, 0) } == 0 {
        return;
    }
    for fd in first..highest() {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// Marks all descriptors from `first` on as closed by exec. Makes system calls only, so it may run between fork and
/// exec.
pub fn close_on_exec_from(first: RawFd) {
    #[cfg(target_os = "linux")]
    // SAFETY: changes a flag of this process's own descriptors, no memory.
    if unsafe { libc::syscall(libc::SYS_close_range, first, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC) } == 0 {
        return;
    }
    for fd in first..highest() {
        // SAFETY: as above; a number that is not open is an error that changes nothing.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}

/// The highest number that a descriptor may have, for systems that cannot mark a range at once.
fn highest() -> RawFd {
    // SAFETY: reads a limit of this process.
    let limit = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
    // An "unlimited" one would take minutes to walk through.
    RawFd::try_from(limit).unwrap_or(RawFd::MAX).clamp(FIRST_UNNAMED, 65_536)
}

/// Reads once; descriptors that come along are appended to `passed`. Returns the number of bytes; 0 is the end.
pub fn receive(from: &UnixStream, buffer: &mut [u8], passed: &mut VecDeque<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(wsgi_wire::limits::PASSED))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(from, &mut [IoSliceMut::new(buffer)], &mut ancillary, RecvFlags::empty())?;
    for item in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = item {
            for fd in fds {
                fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
                passed.push_back(fd);
            }
        }
    }
    Ok(message.bytes)
}

/// Reads once, and takes no descriptors. Returns whether some came along, which are lost.
pub fn receive_alone(from: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
    let mut none = RecvAncillaryBuffer::default();
    let message = recvmsg(from, &mut [IoSliceMut::new(buffer)], &mut none, RecvFlags::empty())?;
    Ok((message.bytes, message.flags.contains(ReturnFlags::CTRUNC)))
}

/// Makes a second descriptor of the same file, outside of the numbers that have a meaning in a daemon.
pub fn duplicate(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, FIRST_UNNAMED)?)
}
