//! The process that was started for a server, which leads the session of all its processes.

use crate::hygiene;
use crate::logs::Log;
use crate::processes::{heeds, kill};
use crate::raw::Client;
use crate::wait::eventually;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Longest time for a start or a stop, on a machine that is busy with other tests; under valgrind everything takes as
/// long as twenty times.
const DEADLINE: Duration = Duration::from_secs(90);

/// How long a server that listens may take to mind signals; a single process (`httpd -X`) may never do.
const SETTLING: Duration = Duration::from_secs(5);

/// A server's own process, from start to stop.
pub(crate) struct Parent {
    child: Child,
    root: PathBuf,
    log: Log,
    /// What was wrong before anybody sent it a signal.
    dead_children: Option<Vec<String>>,
    /// Once it was stopped; `None` in it where it had to be killed.
    ended: Option<Option<ExitStatus>>,
}

impl Parent {
    /// Runs a command whose output goes to `console`; what it reads is the caller's choice. `root` is the directory
    /// that marks its processes, `log` where its crashes are told.
    pub(crate) fn start(mut command: Command, root: &Path, console: &Path, log: Log) -> Self {
        let output = File::create(console).unwrap_or_else(|e| panic!("{}: {e}", console.display()));
        command.stderr(output.try_clone().expect("a descriptor")).stdout(output);
        let child = in_new_session(&mut command).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Self { child, root: root.to_path_buf(), log, dead_children: None, ended: None }
    }

    /// Its process id, which is that of its session as well.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the port answers and signals are minded.
    pub(crate) fn wait_until_it_listens(&mut self, port: u16) {
        let ready = eventually(DEADLINE, || match self.child.try_wait() {
            Ok(None) => Client::try_connect(port).ok().map(|_| true),
            _ => Some(false),
        });
        assert!(ready == Some(true), "the server does not listen");
        // It listens before it minds signals: one that is sent in between ends it halfway, or is lost where SIGINT is
        // ignored, as in a shell's background.
        eventually(SETTLING, || heeds(self.pid(), libc::SIGTERM).then_some(()));
    }

    /// Sends it a signal; `false` when it has ended.
    pub(crate) fn signal(&mut self, signal: libc::c_int) -> bool {
        let log = &self.log;
        self.dead_children.get_or_insert_with(|| hygiene::dead_children(&log.text()));
        kill(self.pid(), signal)
    }

    /// Stops it by this signal and waits for its end; `None` when it had to be killed.
    pub(crate) fn stop(&mut self, signal: libc::c_int) -> Option<ExitStatus> {
        if let Some(ended) = self.ended {
            return ended;
        }
        self.signal(signal);
        let status = eventually(DEADLINE, || self.child.try_wait().ok().flatten());
        if status.is_none() {
            hygiene::kill_all(Some(self.pid()), &self.root);
            // The killed process has to be reaped; its exit status says nothing.
            let _ = self.child.wait();
        }
        *self.ended.insert(status)
    }

    /// Stops it if it still runs, tells what was wrong with its end, and ends whatever it left running.
    pub(crate) fn finish(&mut self, signal: libc::c_int) -> Vec<String> {
        let status = self.stop(signal);
        let mut complaints = hygiene::complaints(Some(self.pid()), &self.root, &self.log.text());
        hygiene::kill_all(Some(self.pid()), &self.root);
        complaints.append(self.dead_children.get_or_insert_default());
        if status.is_none() {
            complaints.push(format!("it did not stop within {} s", DEADLINE.as_secs()));
        }
        complaints
    }
}

/// Makes the command the leader of a new session, so that its processes can be told from all others.
pub(crate) fn in_new_session(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    // SAFETY: setsid is async-signal-safe and touches no memory of this process.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            Ok(())
        })
    }
}
