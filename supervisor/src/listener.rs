//! The listening socket of a daemon process.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
use wsgi_unix::user::shown;
use wsgi_wire::control::Spawn;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum Unbound {
    /// It cannot be made.
    #[error("cannot make the socket '{}': {reason}; WSGISocketPrefix must begin with a directory that exists and that Apache can write to", path.display())]
    Made {
        /// Where.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// It cannot be given to whoever is to connect.
    #[error("cannot give the socket '{}' to {}, who is to connect to it (socket-user, or Apache's User): {reason}", path.display(), shown(*user))]
    Given {
        /// Where.
        path: PathBuf,
        /// To whom.
        user: u32,
        /// Why.
        reason: io::Error,
    },
}

/// The file of a bound socket; it goes when this goes.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
}

impl SocketFile {
    /// Binds and listens. The socket itself is for the daemon alone: whoever else kept it open would keep connections to a dead process alive. This process's umask makes the file accessible to its owner alone: the user of the Apache children.
    ///
    /// # Errors
    /// [`Unbound`]
    pub fn bind(path: PathBuf, spawn: &Spawn) -> Result<(Self, OwnedFd), Unbound> {
        let (file, socket) = Self::make(path, spawn)?;
        if let Some(uid) = spawn.socket_user {
            lchown(&file.path, Some(uid), None).map_err(|reason| Unbound::Given {
                path: file.path.clone(),
                user: uid,
                reason,
            })?;
        }
        // The system cuts it to its own limit.
        let listening = listen(&socket, i32::try_from(spawn.backlog).unwrap_or(i32::MAX));
        listening.map_err(|error| Unbound::Made { path: file.path.clone(), reason: error.into() })?;
        Ok((file, socket))
    }

    fn make(path: PathBuf, spawn: &Spawn) -> Result<(Self, OwnedFd), Unbound> {
        let made = Self::bound(&path, spawn);
        made.map(|socket| (Self { path: path.clone() }, socket)).map_err(|reason| Unbound::Made { path, reason })
    }

    fn bound(path: &Path, spawn: &Spawn) -> io::Result<OwnedFd> {
        // A file of this name is left from a parent that had our parent's pid and had no time to clean up.
        remove(path)?;
        let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        // Accepted sockets inherit the sizes. A size that the system refuses leaves its own.
        if spawn.send_buffer > 0 {
            let _ = set_socket_send_buffer_size(&socket, spawn.send_buffer as usize);
        }
        if spawn.receive_buffer > 0 {
            let _ = set_socket_recv_buffer_size(&socket, spawn.receive_buffer as usize);
        }
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(socket)
    }
}

impl SocketFile {
    /// The file of a socket that somebody else has bound.
    pub fn of(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether this is its path.
    pub fn is_at(&self, path: &str) -> bool {
        self.path == Path::new(path)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The directory may be gone already, with the file.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a file that may not be there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the sockets that an earlier supervisor of this Apache parent has left, by their common beginning `<prefix>.<parent>.`, but for those that
/// are in use.
pub fn remove_stale(prefix: &str, parent: u32, in_use: &[String]) {
    let beginning = format!("{prefix}.{parent}.");
    let Some(directory) = Path::new(&beginning).parent() else { return };
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = path.to_str().is_some_and(|path| {
            path.starts_with(&beginning) && path.ends_with(".sock") && !in_use.iter().any(|used| used == path)
        });
        if ours {
            let _ = fs::remove_file(path);
        }
    }
}
