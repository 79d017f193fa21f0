//! The way of records to the supervisor: a socket on which each message is a record.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendFlags, send};
use wsgi_unix::fork;
use wsgi_wire::record::LogRecord;

use crate::log::record::Destination;

/// The socket, and its identity.
pub(crate) struct Socket {
    socket: OwnedFd,
    /// The numbers of its file system and its file.
    identity: Option<(u64, u64)>,
}

fn identity(socket: impl AsFd) -> Option<(u64, u64)> {
    rustix::fs::fstat(socket).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

impl From<OwnedFd> for Socket {
    fn from(socket: OwnedFd) -> Self {
        let identity = identity(&socket);
        Self { socket, identity }
    }
}

impl Socket {
    /// Whether the descriptor is still this socket. Processes that an application forks may close all that is open, and
    /// open something else.
    fn is_there(&self) -> bool {
        fork::is_ours() || self.identity.is_some() && identity(&self.socket) == self.identity
    }
}

impl Destination for Socket {
    fn accepts(&self, record: &LogRecord) -> bool {
        if self.is_there() {
            return true;
        }
        // A daemon that an application has made of a child: its standard error is its own affair.
        let parts = [Some(&record.message), record.traceback.as_ref()].into_iter().flatten();
        parts.filter(|part| !part.is_empty()).for_each(|part| plainly(part));
        false
    }

    fn deliver(&self, message: &[u8], wait: bool) -> bool {
        let flags = if wait { SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL | SendFlags::DONTWAIT };
        // Without a supervisor there is nobody to tell; another one will replace this process.
        retry_on_intr(|| send(&self.socket, message, flags)) != Err(Errno::AGAIN)
    }
}

/// Writes a line to standard error, without std's lock: in a forked process the thread that holds that may not exist.
fn plainly(text: &[u8]) {
    // What cannot be written there cannot be told anywhere.
    let _ = rustix::io::write(std::io::stderr(), &[text, b"\n"].concat());
}
