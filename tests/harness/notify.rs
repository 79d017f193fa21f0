//! The part of systemd, as far as a service tells it how it is.

use crate::scratch::Scratch;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The socket that `NOTIFY_SOCKET` names.
pub struct Notified {
    socket: UnixDatagram,
    path: PathBuf,
    heard: Vec<String>,
}

impl Notified {
    /// A new one in a directory.
    #[must_use]
    pub fn new(directory: &Scratch) -> Self {
        let path = directory.path().join("notify.sock");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        std::fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("for everybody");
        Self { socket, path, heard: Vec::new() }
    }

    /// The path of the socket.
    #[must_use]
    pub fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// Waits for a message with this line; everything heard up to it.
    ///
    /// # Panics
    /// If none comes.
    pub fn wait_for(&mut self, line: &str) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(30);
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.socket.set_read_timeout(Some(left)).expect("a time limit");
            let mut buffer = [0; 4096];
            let Ok(length) = self.socket.recv(&mut buffer) else { break };
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let found = message.lines().any(|heard| heard.starts_with(line));
            self.heard.push(message);
            if found {
                return std::mem::take(&mut self.heard);
            }
        }
        panic!("{line} was not told, but {:?}", self.heard);
    }
}
