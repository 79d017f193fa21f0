//! `restart`: asks the supervisor of a running server to replace the processes of its groups, and tells what becomes of
//! it.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use wsgi_wire::codec::{Malformed, Wire};
use wsgi_wire::control::{Outcome, Restart, Restarted};
use wsgi_wire::frame::{self, Kind};
use wsgi_wire::table::control_path;

use crate::plan::{Caller, Root};

/// Options of `restart`.
#[derive(Args, Debug)]
pub struct Options {
    /// The process group; without it, all of them
    pub group: Option<String>,
    /// The server root [default: that of a server at --host and --port]
    #[arg(long, value_name = "DIRECTORY")]
    pub server_root: Option<Utf8PathBuf>,
    /// The address that the server was started with
    #[arg(long, value_name = "ADDRESS", default_value = "localhost")]
    pub host: String,
    /// The port that the server was started with
    #[arg(long, value_name = "NUMBER", default_value_t = 8000)]
    pub port: u16,
    /// The administrator's socket of an Apache of your own: WSGISocketPrefix.PID.control.sock
    #[arg(long, value_name = "PATH", conflicts_with = "server_root")]
    pub socket: Option<Utf8PathBuf>,
}

/// Why nothing was restarted.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// There is no configuration.
    #[error("there is no server in {root}: {reason}; name its server root by --server-root")]
    NoRoot {
        /// Where.
        root: Utf8PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// No Apache runs.
    #[error("no server runs from {0}; start it first")]
    NotRunning(Utf8PathBuf),
    /// The supervisor does not answer.
    #[error("cannot reach the server's process groups at {socket}: {reason}; only root and the server's owner may")]
    Unreachable {
        /// Where.
        socket: Utf8PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// It says something strange.
    #[error("the server does not understand this command ({0}); restart Apache to bring both to one version")]
    Version(#[from] Malformed),
}

/// Does it, waits, and tells; the exit code.
pub fn restart(options: &Options, caller: &Caller) -> Result<i32, RestartError> {
    let socket = match &options.socket {
        Some(socket) => socket.clone(),
        None => {
            let label = format!("{}:{}", options.host, options.port);
            let given = options.server_root.as_ref().map(|root| caller.folder.join(root));
            socket_of(&Root::choose(given, &label, caller).path)?
        }
    };
    let unreachable = |reason| RestartError::Unreachable { socket: socket.clone(), reason };
    let mut stream = UnixStream::connect(&socket).map_err(unreachable)?;
    let group = options.group.as_deref().map(Into::into);
    let mut message = Vec::new();
    frame::put(&mut message, Kind::Restart, |out| Restart { group }.put(out))?;
    stream.write_all(&message).map_err(unreachable)?;
    let mut code = 0;
    let mut received = Vec::new();
    loop {
        while let Some(frame) = frame::first(&received)? {
            let Restarted { group, outcome } = Restarted::from_bytes(frame.payload)?;
            println!("{}: {}", String::from_utf8_lossy(&group), said(outcome));
            if outcome != Outcome::Replaced {
                code = 1;
            }
            let size = frame.size();
            received.drain(..size);
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(code),
            Ok(n) => received.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreachable(error)),
        }
    }
}

fn said(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Replaced => "all processes are new",
        Outcome::Failed => {
            "the application cannot be loaded, the error log tells why; processes that served before serve on"
        }
        Outcome::Unknown => "there is no such process group",
    }
}

/// The administrator's socket of the server that runs from this root.
fn socket_of(root: &Utf8Path) -> Result<Utf8PathBuf, RestartError> {
    let no_root = |reason| RestartError::NoRoot { root: root.to_owned(), reason };
    let conf = fs::read_to_string(root.join("httpd.conf")).map_err(no_root)?;
    let not_running = || RestartError::NotRunning(root.to_owned());
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
