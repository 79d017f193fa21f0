//! `setup-server`: a server root with an `apachectl`.

use crate::command::{Finished, run};
use crate::hygiene;
use crate::logs::Log;
use crate::processes::{self, MARKER, kill};
use crate::raw::Client;
use crate::request::Site;
use crate::scratch::Scratch;
use crate::wait::eventually;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longest time for a stop.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server root that `setup-server` made, driven by the `apachectl` in it.
pub struct Control {
    scratch: Scratch,
    server_root: PathBuf,
    port: u16,
    /// The error log.
    pub log: Log,
}

impl Control {
    pub(crate) fn new(scratch: Scratch, server_root: PathBuf, port: u16) -> Self {
        Self { log: Log::new(server_root.join("error_log")), scratch, server_root, port }
    }

    /// The directory that `--server-root` named.
    #[must_use]
    pub fn server_root(&self) -> &Path {
        &self.server_root
    }

    /// Runs the root's `apachectl` with one word, in an empty environment.
    #[must_use]
    pub fn apachectl(&self, word: &str) -> Finished {
        let mut command = Command::new(self.server_root.join("apachectl"));
        command.arg(word).current_dir("/").env_clear().env(MARKER, self.scratch.path());
        run(&mut command, self.scratch.path())
    }

    /// Process id of the Apache parent, as its pid file has it.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.server_root.join("httpd.pid")).ok()?.trim().parse().ok()
    }

    /// Whether its port answers.
    #[must_use]
    pub fn listens(&self) -> bool {
        Client::try_connect(self.port).is_ok()
    }

    /// Every living process of this server.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes::of_server(None, self.scratch.path())
    }
}

impl Site for Control {
    fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let dead_children = hygiene::dead_children(&self.log.text());
        if let Some(pid) = self.pid() {
            kill(pid, libc::SIGTERM);
            // A server that does not stop in time is one of the complaints below.
            let _ = eventually(DEADLINE, || (!processes::alive(pid)).then_some(()));
        }
        let mut complaints = hygiene::complaints(None, self.scratch.path(), &self.log.text());
        complaints.extend(dead_children);
        complaints.extend(hygiene::unannounced(&self.log));
        complaints.extend(hygiene::left_in(&self.server_root, hygiene::of_a_running_server));
        hygiene::kill_all(None, self.scratch.path());
        hygiene::report(&complaints, &[&self.log]);
    }
}
