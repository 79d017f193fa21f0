//! The listening socket of the process: who may connect, and what happens when nothing can be accepted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{Resource, getrlimit};
use wsgi_unix::fork::Unshared;
use wsgi_wire::control::Reason;
use wsgi_wire::messages::internal;

use crate::log::record;
use crate::process::Process;
use crate::process::limits;
use crate::workers::intake::{Intake, is_exhaustion};

/// The socket that connections come in at, as long as the process takes any.
pub(crate) struct Listener {
    socket: Mutex<Option<Unshared>>,
    /// The users that may connect.
    users: Vec<u32>,
    intake: Intake,
}

impl Listener {
    /// Connections come from processes of these users (uids).
    ///
    /// # Errors
    /// If it is no socket.
    pub(crate) fn new(socket: Unshared, users: Vec<u32>) -> std::io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket: Mutex::new(Some(socket)), users, intake: Intake::default() })
    }

    /// The socket, unless it is closed.
    pub(crate) fn socket(&self) -> MutexGuard<'_, Option<Unshared>> {
        // Consistent between any two statements.
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes no more connections.
    pub(crate) fn close(&self) {
        drop(self.socket().take());
    }

    /// How long nothing is accepted; `None`: connections are.
    pub(crate) fn pause_left(&self) -> Option<Duration> {
        self.intake.left()
    }

    /// Accepts again after a pause, because it is over or because a connection was closed. Whether there was one, and
    /// the caller has to look at the socket again.
    pub(crate) fn resume(&self) -> bool {
        self.intake.resume()
    }

    /// Hands over all connections that are there. `false`: nothing is to be accepted for a while.
    pub(crate) fn accept(&self, mut connected: impl FnMut(Unshared)) -> bool {
        let listener = self.socket();
        let Some(listener) = listener.as_ref() else { return true };
        loop {
            match Unshared::make(|| accept_with(listener, SocketFlags::CLOEXEC)) {
                Ok(socket) if self.is_welcome(&socket) => connected(socket),
                Ok(socket) => {
                    let uid = socket_peercred(&socket)
                        .map_or_else(|_| "unknown".into(), |peer| peer.uid.as_raw().to_string());
                    let text = format!(
                        "Refused a connection of the user with uid {uid}: only Apache's children connect, as socket-user or Apache's User."
                    );
                    record::process(&internal::STRANGER, &text);
                }
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) if is_exhaustion(error) => {
                    self.pause(error);
                    return false;
                }
                Err(error) => {
                    record::process(&internal::NOT_ACCEPTED, &format!("A connection could not be accepted: {error}."));
                    return true;
                }
            }
        }
    }

    fn is_welcome(&self, socket: &Unshared) -> bool {
        limits::may_connect(socket_peercred(socket).ok().map(|peer| peer.uid.as_raw()), &self.users)
    }

    /// Something is used up. The listening socket is not looked at until [`Listener::resume`].
    fn pause(&self, error: Errno) {
        if !self.intake.pause(Instant::now()) {
            return;
        }
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.map_or_else(String::new, |limit| format!(" (it may have {limit} open)"));
        let text = format!(
            "The process can accept no connection: {error}{limit}. It asks to be replaced. Either the application does not close its files and \
             sockets, or Apache needs higher limits."
        );
        record::process(&internal::EXHAUSTED, &text);
        Process::get().lifecycle.retire(Reason::Exhausted);
    }
}
