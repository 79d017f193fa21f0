//! `start-server`: a server in the foreground.

use crate::hygiene;
use crate::logs::Log;
use crate::parent::Parent;
use crate::request::Site;
use crate::scratch::Scratch;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// A server in the foreground, as `start-server` runs it. Out of scope it is stopped, and the test fails when it left
/// something behind.
pub struct Foreground {
    parent: Parent,
    server_root: PathBuf,
    port: u16,
    /// Everything that the command and its server wrote to the terminal.
    pub console: Log,
    /// The scratch directory, which is removed last.
    _scratch: Scratch,
}

impl Foreground {
    /// Runs a command that serves at this port, or with 0 at the one that it tells, and waits until it listens.
    pub(crate) fn start(command: Command, scratch: Scratch, server_root: PathBuf, port: u16) -> Self {
        let console = scratch.path().join("console.log");
        let parent = Parent::start(command, scratch.path(), &console, Log::new(console.clone()));
        let mut server = Self { parent, server_root, port, console: Log::new(console), _scratch: scratch };
        if port == 0 {
            server.port = told(&server.console);
        }
        server.parent.wait_until_it_listens(server.port);
        server
    }

    /// The directory that `--server-root` named.
    #[must_use]
    pub fn server_root(&self) -> &Path {
        &self.server_root
    }

    /// Process id of the command, which becomes the Apache parent.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.parent.pid()
    }

    /// Stops it by this signal and waits for its end; `None` when it had to be killed.
    pub fn stop(&mut self, signal: libc::c_int) -> Option<ExitStatus> {
        self.parent.stop(signal)
    }
}

/// The port in the first lines of a server.
fn told(console: &Log) -> u16 {
    let text = console.wait_for("Server URL");
    let url = text.lines().find_map(|line| line.strip_prefix("Server URL")).expect("the line");
    url.rsplit(':').next().and_then(|port| port.trim_end_matches('/').parse().ok()).expect("a port")
}

impl Site for Foreground {
    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let mut complaints = self.parent.finish(libc::SIGINT);
        // As one process Apache has given up the right to remove its pid file.
        let debug = self.console.text().contains("Operating Mode     : debug");
        let left = |path: &Path| hygiene::of_a_running_server(path) && !(debug && path.ends_with("httpd.pid"));
        complaints.extend(hygiene::left_in(&self.server_root, left));
        complaints.extend(hygiene::unannounced(&self.console));
        hygiene::report(&complaints, &[&self.console]);
    }
}
