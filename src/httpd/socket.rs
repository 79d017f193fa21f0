//! What the standard library does not tell of a socket.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};

/// Whether the other end has read everything that was sent; taken for granted where the system does not tell.
pub fn is_read(socket: impl AsFd) -> bool {
    let mut unread: c_int = 0;
    // SAFETY: the descriptor is open while it is borrowed, and the pointer is valid for the call.
    let outcome = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut unread) };
    outcome != 0 || unread == 0
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
