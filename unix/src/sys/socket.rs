//! Facts about a socket that the standard library does not tell.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, RawFd};

/// The bytes, with the kernel's own overhead, that a socket has sent and its peer has not read; `None` if the system
/// cannot tell, also where the number is that of no socket.
pub fn unread(socket: RawFd) -> Option<usize> {
    let mut bytes: c_int = 0;
    // SAFETY: changes nothing, whatever has the number; the pointer is valid for the call.
    let outcome = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut bytes) };
    (outcome == 0).then_some(usize::try_from(bytes).unwrap_or(0))
}

/// Whether the peer has read everything that was sent; taken for granted where the system does not tell.
pub fn is_read(socket: impl AsFd) -> bool {
    unread(socket.as_fd().as_raw_fd()).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_not_read_shows() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        assert!(is_read(&ours));
        ours.write_all(b"request").unwrap();
        assert!(!is_read(&ours));
        theirs.read_exact(&mut [0; 7]).unwrap();
        assert!(is_read(&ours));
    }
}
