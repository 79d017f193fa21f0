//! The Apache that the tests boot.

use apxs::Apache;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::processes::as_user;

/// Apache's module of this name, where this machine has it.
#[must_use]
pub fn module(name: &str) -> Option<PathBuf> {
    apache().module(name)
}

/// The server's program as this user runs it, under the command that `HARNESS_UNDER` has: valgrind for instance (`make
/// sanitize`).
pub(crate) fn httpd(user: Option<&str>) -> Command {
    let under = std::env::var("HARNESS_UNDER").unwrap_or_default();
    let mut words = under.split_whitespace();
    let Some(program) = words.next() else { return as_user(user, apache().httpd()) };
    let mut command = as_user(user, program);
    command.args(words).arg(apache().httpd());
    command
}

/// The installation of this machine.
pub(crate) fn apache() -> &'static Apache {
    static APACHE: OnceLock<Apache> = OnceLock::new();
    APACHE.get_or_init(|| Apache::find_runtime().unwrap_or_else(|e| panic!("{e}")))
}
