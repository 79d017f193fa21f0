//! A terminal to start a server from.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// A terminal, as long as nobody closes it.
pub(crate) struct Terminal {
    _screen: OwnedFd,
    line: OwnedFd,
}

impl Terminal {
    /// A new one.
    pub(crate) fn open() -> Self {
        let (mut screen, mut line) = (-1, -1);
        // SAFETY: both pointers are to live numbers; without a name, settings and a size there are the usual ones.
        let opened =
            unsafe { libc::openpty(&mut screen, &mut line, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) };
        assert_eq!(opened, 0, "a terminal");
        // SAFETY: just opened, and nobody else's.
        let [screen, line] = [screen, line].map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        Self { _screen: screen, line }
    }

    /// Makes the command lead a session at this terminal.
    pub(crate) fn give_to(&self, command: &mut Command) {
        let line = self.line.as_raw_fd();
        // SAFETY: both calls are async-signal-safe and touch no memory of this process.
        unsafe {
            command.pre_exec(move || {
                libc::setsid();
                if libc::ioctl(line, libc::TIOCSCTTY, 0) < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
            });
        }
    }
}
