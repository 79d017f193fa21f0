//! The sockets by which the supervisor's records come to Apache, and spans of requests to the supervisor's exporter.
//! The parent makes them, all children inherit them, and they are kept across restarts, during which the module is
//! unloaded. They keep the boundaries of messages, so any child can take any record.

use std::io;
use std::os::fd::{BorrowedFd, IntoRawFd, RawFd};

use rustix::io::retry_on_intr;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair, sockopt};
use wsgi_wire::limits;

use super::server;

/// The size of the socket's buffer, bytes, which must hold what comes while no child reads: the records of a start with
/// some failures.
const ROOM: usize = 1 << 20;

/// What the parent keeps across restarts. All zero in a new process.
#[derive(Clone, Copy)]
#[repr(C)]
struct Retained {
    /// Whether the pair of sockets has been made.
    made: bool,
    sends: RawFd,
    receives: RawFd,
}

/// A pair of connected sockets.
#[derive(Debug, Clone, Copy)]
pub struct Socket {
    /// The end that sends. Apache keeps it, too, where the supervisor sends: there may be another supervisor later.
    pub sends: BorrowedFd<'static>,
    /// The end that receives, which Apache keeps likewise.
    pub receives: BorrowedFd<'static>,
}

/// What a socket is for.
#[derive(Debug, Clone, Copy)]
pub enum Purpose {
    /// Records of the supervisor and its processes.
    Records,
    /// What a collector of OpenTelemetry is told.
    Export,
}

/// The socket, made the first time it is asked for. Called from `post_config`.
///
/// # Errors
/// Those of `socketpair`.
pub fn make(purpose: Purpose) -> io::Result<Socket> {
    let place = server::retained::<Retained>(match purpose {
        Purpose::Records => c"mod_wsgi records",
        Purpose::Export => c"mod_wsgi export",
    });
    // SAFETY: httpd keeps the memory for good, zeroed at first, which is a valid `Retained`; `post_config` runs in the
    // parent's only thread.
    let kept = unsafe { &mut *place };
    if !kept.made {
        let (sends, receives) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // Who is not root gets what the system allows.
        let _ = sockopt::set_socket_send_buffer_size(&sends, ROOM);
        *kept = Retained { made: true, sends: sends.into_raw_fd(), receives: receives.into_raw_fd() };
    }
    // SAFETY: open since they were made, and never closed.
    let [sends, receives] = [kept.sends, kept.receives].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    Ok(Socket { sends, receives })
}

impl Socket {
    /// The next message, without waiting; `None` if there is none.
    pub fn receive<'b>(&self, buffer: &'b mut Vec<u8>) -> Option<&'b [u8]> {
        buffer.resize(limits::LOG_MESSAGE, 0);
        let (_, length) = retry_on_intr(|| recv(self.receives, &mut buffer[..], RecvFlags::DONTWAIT)).ok()?;
        // What was longer has lost its end, and is not understood.
        buffer.get(..length)
    }

    /// Wakes one of those who wait for a message, with an empty one.
    pub fn wake_another(&self) {
        // A socket that is full has woken somebody already.
        let _ = send(self.sends, &[], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroed_memory_is_a_process_without_a_socket() {
        // SAFETY: this is what the test is about: a bool and numbers.
        let kept: Retained = unsafe { std::mem::zeroed() };
        assert!(!kept.made);
    }
}
