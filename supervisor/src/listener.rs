//! The listening socket of a daemon process.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use nix::sys::socket::sockopt::{RcvBuf, SndBuf};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, setsockopt, socket};
use wsgi_wire::control::Spawn;

/// The file of a bound socket; it goes when this goes.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
}

impl SocketFile {
    /// Binds and listens. The socket itself is for the daemon alone: whoever else kept it open would keep connections to a dead process alive. This process's umask makes the file accessible to its owner alone: the user of the Apache children.
    pub fn bind(path: PathBuf, spawn: &Spawn) -> io::Result<(Self, OwnedFd)> {
        // A file of this name is left from a parent that had our parent's pid and had no time to clean up.
        remove(&path)?;
        let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
        // Accepted sockets inherit the sizes. A size that the system refuses leaves its own.
        if spawn.send_buffer > 0 {
            let _ = setsockopt(&socket, SndBuf, &(spawn.send_buffer as usize));
        }
        if spawn.receive_buffer > 0 {
            let _ = setsockopt(&socket, RcvBuf, &(spawn.receive_buffer as usize));
        }
        bind(socket.as_raw_fd(), &UnixAddr::new(&path)?)?;
        let file = Self { path };
        if let Some(uid) = spawn.socket_user {
            lchown(&file.path, Some(uid), None)?;
        }
        listen(&socket, backlog(spawn.backlog))?;
        Ok((file, socket))
    }
}

/// The system cuts it to its own limit; what nix finds too large for a backlog is its largest.
fn backlog(wanted: u32) -> Backlog {
    i32::try_from(wanted).ok().and_then(|wanted| Backlog::new(wanted).ok()).unwrap_or(Backlog::MAXCONN)
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The directory may be gone already, with the file.
        let _ = fs::remove_file(&self.path);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the sockets that an earlier supervisor of this Apache parent has left, by their common beginning `<prefix>.<parent>.`.
pub fn remove_stale(prefix: &str, parent: u32) {
    let beginning = format!("{prefix}.{parent}.");
    let Some(directory) = Path::new(&beginning).parent() else { return };
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = path.to_str().is_some_and(|path| path.starts_with(&beginning) && path.ends_with(".sock"));
        if ours {
            let _ = fs::remove_file(path);
        }
    }
}
