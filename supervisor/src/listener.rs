//! The listening socket of a daemon process.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket, socket_with};
use rustix::process::{Pid, test_kill_process};
use wsgi_unix::files;
use wsgi_unix::user::shown;
use wsgi_wire::control::Spawn;

use crate::privileges::with_all;

/// Why there is no listening socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The socket cannot be made.
    #[error("cannot make the socket '{}': {reason}; WSGISocketPrefix must begin with a directory that exists and that Apache can write to", path.display())]
    Made {
        /// The path of the socket.
        path: PathBuf,
        /// Why the system refused.
        reason: io::Error,
    },
    /// The socket cannot be given to the user who is to connect.
    #[error("cannot give the socket '{}' to {}, who is to connect to it (socket-user, or Apache's User): {reason}", path.display(), shown(*user))]
    Given {
        /// The path of the socket.
        path: PathBuf,
        /// The user who should own the socket.
        user: u32,
        /// Why the system refused.
        reason: io::Error,
    },
}

/// The file of a bound socket, which is removed when this is dropped.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
}

impl SocketFile {
    /// Binds and listens. Only the daemon gets the socket itself: any other process that kept it open would keep
    /// connections to a dead process alive. This process's umask makes the file accessible to its owner alone: the user
    /// of the Apache children.
    ///
    /// # Errors
    /// [`BindError`]
    pub fn bind(path: PathBuf, spawn: &Spawn) -> Result<(Self, OwnedFd), BindError> {
        let (file, socket) = Self::make(path, spawn)?;
        if let Some(uid) = spawn.socket_user {
            files::give_socket(&file.path, uid).map_err(|reason| BindError::Given {
                path: file.path.clone(),
                user: uid,
                reason,
            })?;
        }
        // The system cuts it to its own limit.
        let listening = listen(&socket, i32::try_from(spawn.backlog).unwrap_or(i32::MAX));
        listening.map_err(|error| BindError::Made { path: file.path.clone(), reason: error.into() })?;
        Ok((file, socket))
    }

    fn make(path: PathBuf, spawn: &Spawn) -> Result<(Self, OwnedFd), BindError> {
        let made = Self::bound(&path, spawn);
        made.map(|socket| (Self { path: path.clone() }, socket)).map_err(|reason| BindError::Made { path, reason })
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
    /// The file of a socket that another process has bound.
    pub fn of(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether this is the path of the file.
    pub fn is_at(&self, path: &str) -> bool {
        self.path == Path::new(path)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The directory may be gone already, with the file.
        let _ = with_all(|| fs::remove_file(&self.path));
    }
}

/// Removes a file that may not be there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes the sockets that are left: those of an earlier supervisor of this Apache parent, except for those `in_use`;
/// and those of parents that have ended, and with them all who listened.
pub fn remove_stale(prefix: &str, parent: u32, in_use: &[String]) {
    let Some(directory) = Path::new(prefix).parent() else { return };
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        let Some((text, of)) = path.to_str().and_then(|text| Some((text, parent_of(text, prefix)?))) else { continue };
        let left =
            if of == parent { !in_use.iter().any(|used| used == text) } else { !lives(of) && nobody_listens(&path) };
        if left {
            let _ = fs::remove_file(path);
        }
    }
}

/// Returns the pid of the Apache parent that is in the name of a socket, `<prefix>.<parent>.….sock`.
fn parent_of(path: &str, prefix: &str) -> Option<u32> {
    let (parent, rest) = path.strip_prefix(prefix)?.strip_prefix('.')?.split_once('.')?;
    parent.parse().ok().filter(|_| rest.ends_with("sock"))
}

fn lives(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

/// Whether the process that listened at a socket is gone: daemons serve on for a while when their parent has died.
fn nobody_listens(path: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connected = SocketAddrUnix::new(path).and_then(|address| {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &address)
    });
    connected == Err(Errno::CONNREFUSED)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_sockets_that_nobody_needs_are_swept() {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("wsgi").to_str().unwrap().to_owned();
        let mut ended = Command::new("true").spawn().unwrap();
        let gone = ended.id();
        ended.wait().unwrap();
        let own = std::process::id();
        let names = [
            (format!("{prefix}.{own}.0.1.sock"), true),
            (format!("{prefix}.{own}.1.2.sock"), false),
            (format!("{prefix}.{gone}.0.1.sock"), false),
            (format!("{prefix}.{gone}.control.sock"), false),
            (format!("{prefix}.{gone}.2.3.sock"), true),
            (format!("{prefix}.1.0.1.sock"), true),
            (format!("{prefix}-other.{gone}.0.1.sock"), true),
            (format!("{prefix}.{gone}.note"), true),
        ];
        let listeners: Vec<_> = names.iter().map(|(name, _)| UnixListener::bind(name).unwrap()).collect();
        // Of the dead parent one daemon still serves.
        let _serves = listeners.into_iter().nth(4);
        remove_stale(&prefix, own, &[names[0].0.clone()]);
        for (name, stays) in &names {
            assert_eq!(Path::new(name).exists(), *stays, "{name}");
        }
    }
}
