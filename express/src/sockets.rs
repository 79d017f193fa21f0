//! Sockets that Apache gets from the command: those that systemd has passed to that (`sd_listen_fds`), and unix sockets
//! of `--bind`, for which Apache has no directive.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};

use camino::{Utf8Path, Utf8PathBuf};
use nix::sys::stat::{Mode, umask};
use wsgi_unix::passed::{Passed, Place};

use crate::plan::Plan;

/// Why a unix socket cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process listens there.
    #[error("{0} is already in use; end what listens there, or choose another path with --bind")]
    InUse(Utf8PathBuf),
    /// There is something else.
    #[error("{0}, given with --bind, is there already and is no socket; remove it, or choose another path")]
    NoSocket(Utf8PathBuf),
    /// It cannot be made.
    #[error("cannot listen at {path}: {source}; choose another path with --bind")]
    Failed {
        /// The path of the socket.
        path: Utf8PathBuf,
        /// The reason of the failure.
        source: io::Error,
    },
}

fn passed() -> Passed {
    Passed::by_systemd(|name| std::env::var(name).ok())
}

/// Where the sockets listen that systemd has passed to this process.
pub fn passed_places() -> Vec<Place> {
    passed().places().filter_map(|(_, place)| place.ok()).collect()
}

/// Keeps the sockets that are passed to this process from all that it starts, but for Apache.
pub fn keep() {
    passed().keep();
}

/// The sockets that Apache gets.
#[derive(Debug)]
pub struct Sockets {
    passed: Passed,
    made: Vec<(Utf8PathBuf, UnixListener)>,
}

impl Sockets {
    /// Makes the unix sockets that are not passed.
    ///
    /// # Errors
    /// [`SocketError`]
    pub fn open(plan: &Plan) -> Result<Self, SocketError> {
        let there: Vec<String> = passed_places().iter().map(ToString::to_string).collect();
        let wanted = plan.server.sites.unix.iter().filter(|name| !there.contains(*name));
        let paths = wanted.filter_map(|name| name.strip_prefix("unix:"));
        let made = paths.map(|path| Ok((path.into(), listen(path.into())?))).collect::<Result<_, _>>()?;
        Ok(Self { passed: passed(), made })
    }

    /// Lets the process have them that this one becomes or starts next, and returns the list that it is told of;
    /// `None` if there are none.
    pub fn hand_on(&self) -> Option<String> {
        let all = self.passed.and(self.made.iter().map(|(_, socket)| socket.as_fd()));
        all.hand_on();
        (!all.is_empty()).then(|| all.list())
    }

    /// Removes the unix sockets when nobody listens there any more.
    pub fn remove(self) {
        for (path, _) in self.made {
            // Somebody else may have done it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Listens at a path, also where an earlier server has left its socket. Who may connect is decided by the directory,
/// as it is by nothing for a port.
fn listen(path: &Utf8Path) -> Result<UnixListener, SocketError> {
    let failed = |source| SocketError::Failed { path: path.to_owned(), source };
    if let Ok(found) = path.symlink_metadata() {
        if !found.file_type().is_socket() {
            return Err(SocketError::NoSocket(path.to_owned()));
        }
        if UnixStream::connect(path).is_ok() {
            return Err(SocketError::InUse(path.to_owned()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let before = umask(Mode::from_bits_truncate(0o111));
    let socket = UnixListener::bind(path);
    umask(before);
    socket.map_err(failed)
}
