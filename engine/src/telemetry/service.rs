//! The service that reports are sent to, at its socket.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use wsgi_unix::native;

/// The service, and this machine as it knows it.
pub(super) struct Service {
    socket: UnixDatagram,
    target: PathBuf,
    host: Vec<u8>,
}

impl Service {
    /// The service that listens at this path.
    ///
    /// # Errors
    /// If there is no socket.
    pub(super) fn at(path: &[u8]) -> std::io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        let host = rustix::system::uname().nodename().to_bytes().to_vec();
        Ok(Self { socket, target: PathBuf::from(&*native(path)), host })
    }

    /// The name of this machine.
    pub(super) fn host(&self) -> &[u8] {
        &self.host
    }

    /// Sends a datagram, which is lost if nobody listens, or the socket does not take it at once.
    pub(super) fn send(&self, datagram: &[u8]) {
        let _ = self.socket.send_to(datagram, &self.target);
    }
}
