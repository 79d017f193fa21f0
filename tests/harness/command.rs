//! Programs that end by themselves.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::hygiene;
use crate::parent::in_new_session;
use crate::wait::eventually;

/// The longest time for a run that should end by itself.
const DEADLINE: Duration = Duration::from_secs(30);

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; `None` when it had to be stopped or a signal ended it.
    pub code: Option<i32>,
    /// All that it wrote, both streams.
    pub text: String,
}

/// Runs a command to its end and leaves nothing of it behind, even if it turns out to be a server. `own` is a directory
/// that marks its processes.
#[must_use]
pub fn run(command: &mut Command, own: &Path) -> Finished {
    // A file, because a server that went into the background would keep a pipe open.
    let output = own.join("output.txt");
    let file = File::create(&output).expect("a file for the output");
    command.stdin(Stdio::null()).stderr(file.try_clone().expect("a descriptor")).stdout(file);
    let mut child = in_new_session(command).spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let status = eventually(DEADLINE, || child.try_wait().ok().flatten());
    if status.is_none() {
        hygiene::kill_all(Some(child.id()), own);
        // The killed command has to be reaped; its exit status says nothing.
        let _ = child.wait();
    }
    let text = String::from_utf8_lossy(&std::fs::read(&output).expect("its output")).into_owned();
    Finished { code: status.and_then(|status| status.code()), text }
}
