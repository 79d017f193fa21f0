//! The administrator's socket of a running server: where it is, and what the server says of itself there.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use camino::{Utf8Path, Utf8PathBuf};
use wsgi_wire::codec::{DecodeError, Wire};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::limits;
use wsgi_wire::status::Status;
use wsgi_wire::table::control_path;

use crate::options::Running;
use crate::plan::{Caller, Root};

/// Why the server cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// The server root has no configuration.
    #[error("there is no server in {root}: {reason}; name its server root by --server-root")]
    NoRoot {
        /// The server root that was looked into.
        root: Utf8PathBuf,
        /// The reason why it cannot be read.
        reason: io::Error,
    },
    /// No Apache runs.
    #[error("no server runs from {0}; start it first")]
    NotRunning(Utf8PathBuf),
    /// The supervisor does not answer.
    #[error("cannot reach the server's process groups at {socket}: {reason}; only root and the server's owner may")]
    Unreachable {
        /// The path of the socket.
        socket: Utf8PathBuf,
        /// The reason why it cannot be reached.
        reason: io::Error,
    },
    /// The supervisor's answer does not decode.
    #[error("the server does not understand this command ({0}); restart Apache to bring both to one version")]
    Version(#[from] DecodeError),
    /// The supervisor closes without an answer.
    #[error("the server does not understand this command; restart Apache to bring both to one version")]
    Silent,
    /// The answer cannot be written as JSON.
    #[error("the status cannot be written: {0}")]
    Json(#[from] serde_json::Error),
}

/// The socket of one server.
#[derive(Clone, Debug)]
pub struct Administration {
    socket: Utf8PathBuf,
}

impl Administration {
    /// Finds the socket of the server that the options name.
    ///
    /// # Errors
    /// [`AdministrationError`] when there is none, or it does not run.
    pub fn of(running: &Running, caller: &Caller) -> Result<Self, AdministrationError> {
        let socket = match &running.socket {
            Some(socket) => socket.clone(),
            None => {
                let label = format!("{}:{}", running.host, running.port);
                let given = running.server_root.as_ref().map(|root| caller.directory.join(root));
                socket_of(&Root::choose(given, &label, caller).path)?
            }
        };
        Ok(Self { socket })
    }

    /// Makes the error of a socket that cannot be reached.
    pub fn unreachable(&self, reason: io::Error) -> AdministrationError {
        AdministrationError::Unreachable { socket: self.socket.clone(), reason }
    }

    /// Connects, and sends this message.
    ///
    /// # Errors
    /// [`AdministrationError::Unreachable`]
    pub fn send(&self, message: &[u8]) -> Result<UnixStream, AdministrationError> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|reason| self.unreachable(reason))?;
        stream.write_all(message).map_err(|reason| self.unreachable(reason))?;
        Ok(stream)
    }

    /// Asks for the status of the server.
    ///
    /// # Errors
    /// [`AdministrationError`]
    pub fn status(&self) -> Result<Status, AdministrationError> {
        let mut message = Vec::new();
        frame::put(&mut message, Kind::Ask, |_| {})?;
        let mut received = Vec::new();
        let max = limits::FRAME as u64;
        self.send(&message)?.take(max).read_to_end(&mut received).map_err(|reason| self.unreachable(reason))?;
        match frame::first(&received)? {
            Some(frame) if frame.kind == Kind::Status => Ok(Status::from_bytes(frame.payload)?),
            _ => Err(AdministrationError::Silent),
        }
    }
}

/// The administrator's socket of the server that runs from this root.
fn socket_of(root: &Utf8Path) -> Result<Utf8PathBuf, AdministrationError> {
    let no_root = |reason| AdministrationError::NoRoot { root: root.to_owned(), reason };
    let conf = fs::read_to_string(root.join("httpd.conf")).map_err(no_root)?;
    let not_running = || AdministrationError::NotRunning(root.to_owned());
    let pid_file = setting(&conf, "PidFile").ok_or_else(not_running)?;
    let prefix = setting(&conf, "WSGISocketPrefix").ok_or_else(not_running)?;
    let pid = fs::read_to_string(pid_file).ok().and_then(|pid| pid.trim().parse().ok()).ok_or_else(not_running)?;
    Ok(control_path(&prefix, pid).into())
}

/// The argument of a directive in a configuration that this program has written.
fn setting(conf: &str, name: &str) -> Option<String> {
    let argument = conf.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(' '))?;
    Some(argument.trim().trim_matches('"').replace("\\\"", "\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_found_in_quotes_or_without() {
        let conf = "# PidFile no\n    PidFile \"/a b/httpd.pid\"\nWSGISocketPrefix /run/x/wsgi\n";
        assert_eq!(setting(conf, "PidFile").as_deref(), Some("/a b/httpd.pid"));
        assert_eq!(setting(conf, "WSGISocketPrefix").as_deref(), Some("/run/x/wsgi"));
        assert_eq!(setting(conf, "Listen"), None);
    }
}
