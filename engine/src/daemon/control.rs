//! The control socket to the supervisor.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use wsgi_unix::fork::{self, Unshared};
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::control::{Drain, Draining, Ready, Reason, Retiring};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::interface::Interface;
use wsgi_wire::settings::{Daemon, Preload};

/// Why there is nothing to hear from the supervisor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The supervisor is gone.
    #[error("the supervisor has closed the control socket")]
    Closed,
    /// It does not speak our protocol.
    #[error("the supervisor sent something unexpected ({0}); are both parts of one installation?")]
    Malformed(#[from] DecodeError),
    /// The socket failed.
    #[error("the control socket failed: {0}")]
    Failed(#[from] Errno),
}

/// An order of the supervisor.
pub(crate) enum Order {
    /// Finish what there is.
    Drain(Drain),
    /// Serve on with the code that is loaded.
    Resume,
    /// The process has to end.
    Stop,
}

/// The lowest number of a descriptor that means nothing to the supervisor.
const FIRST_UNNAMED: i32 = 9;

/// Asks the supervisor for Apache's scoreboard, from any thread.
pub(crate) struct ScoreboardAsker {
    socket: Unshared,
}

impl ScoreboardAsker {
    /// Asks for the scoreboard. A supervisor that is gone or busy does not hear it; the caller asks again.
    pub(crate) fn ask(&self) {
        // A frame without a payload goes out whole or not at all. A forked process has none to ask.
        if let (Ok(message), true) = (frame::header(Kind::ScoreboardWanted, 0), fork::is_ours()) {
            let _ = send(&self.socket, &message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
        }
    }
}

/// Our end of the socket.
pub(crate) struct Control {
    socket: Unshared,
    received: Vec<u8>,
}

impl Control {
    /// Takes the socket over.
    pub(crate) fn new(socket: Unshared) -> Self {
        Self { socket, received: Vec::new() }
    }

    /// Waits for the settings, the first message.
    ///
    /// # Errors
    /// If something else comes, or nothing.
    pub(crate) fn settings(&mut self) -> Result<Daemon, ControlError> {
        loop {
            if let Some(frame) = frame::first(&self.received)? {
                let settings = match frame.kind {
                    Kind::Start => Daemon::from_bytes(frame.payload)?,
                    kind => return Err(DecodeError::Unknown(kind as u64).into()),
                };
                let size = frame.size();
                self.received.drain(..size);
                return Ok(settings);
            }
            self.receive(RecvFlags::empty())?;
        }
    }

    /// What the supervisor has ordered in the meantime. Does not wait.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn orders(&mut self) -> Result<Vec<Order>, ControlError> {
        while self.receive(RecvFlags::DONTWAIT)? {}
        let mut orders = Vec::new();
        while let Some(frame) = frame::first(&self.received)? {
            orders.push(match frame.kind {
                Kind::Drain => Order::Drain(Drain::from_bytes(frame.payload)?),
                Kind::Resume => Order::Resume,
                Kind::Stop => Order::Stop,
                kind => return Err(DecodeError::Unknown(kind as u64).into()),
            });
            let size = frame.size();
            self.received.drain(..size);
        }
        Ok(orders)
    }

    fn receive(&mut self, flags: RecvFlags) -> Result<bool, ControlError> {
        self.received.reserve(frame::room(&self.received, 4096));
        match recv(&self.socket, spare_capacity(&mut self.received), flags) {
            Ok((0, _)) => Err(ControlError::Closed),
            Ok(_) | Err(Errno::INTR) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that requests are welcome; the supervisor lets them come.
    ///
    /// # Errors
    /// If the supervisor is gone.
    pub(crate) fn ready(&self, failures: Vec<u64>, interface: Interface) -> Result<(), ControlError> {
        self.say(Kind::Ready, |out| Ready { failures, interface }.put(out))
    }

    /// Asks for a successor.
    ///
    /// # Errors
    /// If the supervisor is gone.
    pub(crate) fn retiring(&self, reason: Reason, holds: bool) -> Result<(), ControlError> {
        self.say(Kind::Retiring, |out| Retiring { reason, holds }.put(out))
    }

    /// Names a script that successors should load.
    ///
    /// # Errors
    /// If the supervisor is gone.
    pub(crate) fn loaded(&self, script: &Preload) -> Result<(), ControlError> {
        self.say(Kind::Loaded, |out| script.put(out))
    }

    /// Says that this process is on its way out.
    ///
    /// # Errors
    /// If the supervisor is gone.
    pub(crate) fn draining(&self, reason: Reason) -> Result<(), ControlError> {
        self.say(Kind::Draining, |out| Draining { reason }.put(out))
    }

    /// Makes an asker for the threads that want Apache's scoreboard.
    ///
    /// # Errors
    /// If there are no more descriptors.
    pub(crate) fn asker(&self) -> std::io::Result<ScoreboardAsker> {
        Ok(ScoreboardAsker { socket: rustix::io::fcntl_dupfd_cloexec(&self.socket, FIRST_UNNAMED)?.into() })
    }

    fn say(&self, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ControlError> {
        if !fork::is_ours() {
            return Err(ControlError::Closed);
        }
        let mut message = Vec::new();
        frame::put(&mut message, kind, write)?;
        let mut rest = message.as_slice();
        while !rest.is_empty() {
            match send(&self.socket, rest, SendFlags::NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
