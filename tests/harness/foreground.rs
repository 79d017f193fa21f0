//! `start-server`: a server in the foreground.

use crate::httpd::in_new_session;
use crate::hygiene;
use crate::logs::Log;
use crate::processes::kill;
use crate::raw::Client;
use crate::request::Site;
use crate::scratch::Scratch;
use crate::wait::eventually;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Longest time for a start or a stop.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server in the foreground, as `start-server` runs it. Out of scope it is stopped, and the test fails when it left
/// something behind.
pub struct Foreground {
    scratch: Scratch,
    server_root: PathBuf,
    child: Option<Child>,
    leader: u32,
    port: u16,
    /// Everything that the command and its server wrote to the terminal.
    pub console: Log,
}

impl Foreground {
    /// Runs a command that serves at this port and waits until it listens.
    pub(crate) fn start(mut command: Command, scratch: Scratch, server_root: PathBuf, port: u16) -> Self {
        let console = scratch.path().join("console.log");
        let output = File::create(&console).expect("a console log");
        command.stdin(Stdio::null()).stderr(output.try_clone().expect("a descriptor")).stdout(output);
        let child = in_new_session(&mut command).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let (leader, console) = (child.id(), Log::new(console));
        let mut server = Self { scratch, server_root, child: Some(child), leader, port, console };
        server.wait_until_it_listens();
        server
    }

    /// The folder that `--server-root` named.
    #[must_use]
    pub fn server_root(&self) -> &Path {
        &self.server_root
    }

    /// Process id of the command, which becomes the Apache parent.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.leader
    }

    /// Stops it as Ctrl-C does and waits for its end; `None` when it had to be killed.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut()?;
        kill(self.leader, libc::SIGINT);
        let status = eventually(DEADLINE, || child.try_wait().ok().flatten());
        if status.is_none() {
            hygiene::kill_all(Some(self.leader), self.scratch.path());
            // The killed command has to be reaped; its exit status says nothing.
            let _ = child.wait();
        }
        self.child = None;
        status
    }

    fn wait_until_it_listens(&mut self) {
        let port = self.port;
        let child = self.child.as_mut().expect("it was just started");
        let ready = eventually(DEADLINE, || match child.try_wait() {
            Ok(None) => Client::try_connect(port).ok().map(|_| true),
            _ => Some(false),
        });
        assert!(ready == Some(true), "the server does not listen");
    }
}

impl Site for Foreground {
    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let running = self.child.is_some();
        let stopped = self.stop().is_some() || !running;
        let mut complaints = hygiene::complaints(Some(self.leader), self.scratch.path(), &self.console.text());
        complaints.extend(hygiene::left_in(&self.server_root, hygiene::of_a_running_server));
        hygiene::kill_all(Some(self.leader), self.scratch.path());
        if !stopped {
            complaints.insert(0, format!("the server did not stop within {} s", DEADLINE.as_secs()));
        }
        hygiene::report(&complaints, &self.console);
    }
}
