//! File descriptors that come from elsewhere: from the Apache parent at start, and with its messages.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// The first descriptor that neither the contract with the parent nor that with the daemons names. See `docs/architecture.md`.
pub const FIRST_UNNAMED: RawFd = 6;

/// Linux passes no more descriptors with one message (SCM_MAX_FD).
const MOST_PASSED: usize = 253;

/// What the Apache parent leaves to this process.
#[derive(Debug)]
pub struct Inherited {
    /// Descriptor 3.
    pub control: UnixStream,
    /// Descriptor 4.
    pub table: OwnedFd,
    /// Keeps descriptor 5 taken, which a daemon gets as its third: nothing that a new process needs until its exec can then be overwritten.
    pub placeholder: OwnedFd,
}

/// Takes descriptors 3 and 4 and closes all that follow, such as Apache's listening sockets. To be called once, before anything is opened.
///
/// # Errors
/// If 3 or 4 is not open: then this process was not started by the Apache module.
pub fn inherit() -> io::Result<Inherited> {
    close_from(5);
    let [control, table] = [3, 4].map(|fd| {
        // SAFETY: nothing in this process has opened a descriptor yet, so whatever has this number is ours alone; fcntl below refuses a number
        // that is not open before it is used.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        match fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)) {
            Ok(_) => Ok(fd),
            Err(error) => {
                std::mem::forget(fd);
                Err(io::Error::from(error))
            }
        }
    });
    let null = std::fs::File::open("/dev/null")?;
    Ok(Inherited { control: control?.into(), table: table?, placeholder: null.into() })
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

/// Marks all descriptors from `first` on as closed by exec. Makes system calls only, so it may run between fork and exec.
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

/// The end of the range of descriptors where the system cannot mark a range at once.
fn highest() -> RawFd {
    // SAFETY: reads a limit of this process.
    let limit = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
    // An "unlimited" one would take minutes to walk through.
    RawFd::try_from(limit).unwrap_or(RawFd::MAX).clamp(FIRST_UNNAMED, 65_536)
}

/// Reads once; descriptors that come along are appended to `passed`. 0 is the end.
pub fn receive(from: &UnixStream, buffer: &mut [u8], passed: &mut VecDeque<OwnedFd>) -> io::Result<usize> {
    let mut space = nix::cmsg_space!([RawFd; MOST_PASSED]);
    let mut into = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(from.as_raw_fd(), &mut into, Some(&mut space), MsgFlags::empty())?;
    for item in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = item {
            for fd in fds {
                // SAFETY: the system has just made this descriptor for us; nobody else knows it.
                let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
                passed.push_back(fd);
            }
        }
    }
    Ok(message.bytes)
}

/// A second descriptor of the same file, outside of the numbers that have a meaning in a daemon.
pub fn duplicate(fd: impl std::os::fd::AsFd) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_UNNAMED))?;
    // SAFETY: the system has just made this descriptor for us; nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
