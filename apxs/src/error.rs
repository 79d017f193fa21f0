//! What can be missing, in sentences for the person who installs it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why no usable Apache was found.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `$APXS` is set, but to no program.
    #[error("APXS is '{0}', which is not an executable program: set it to the path of apxs or unset it")]
    WrongApxs(PathBuf),
    /// There is no `apxs`.
    #[error(
        "Apache's development files are missing (no apxs2 or apxs on PATH or in /usr/sbin): install apache2-dev (Debian, Ubuntu), \
         httpd-devel (Fedora, RHEL) or 'brew install httpd' (macOS), or set APXS to the path of apxs"
    )]
    NoApxs,
    /// A header is not where `apxs` says.
    #[error(
        "the header {name} is in none of the directories that apxs names ({}): install apache2-dev (Debian, Ubuntu), httpd-devel (Fedora, \
         RHEL) or 'brew install httpd' (macOS)",
        list(searched)
    )]
    NoHeader {
        /// The name of the header.
        name: &'static str,
        /// The directories in which it was looked for.
        searched: Vec<PathBuf>,
    },
    /// There is no server.
    #[error(
        "Apache is missing (no apache2 or httpd on PATH or in /usr/sbin): install apache2 (Debian, Ubuntu), httpd (Fedora, RHEL) or 'brew \
         install httpd' (macOS)"
    )]
    NoServer,
    /// The server's modules are in no known directory.
    #[error(
        "Apache's modules are in none of the usual directories ({}): install apache2-bin (Debian, Ubuntu), httpd-core (Fedora, RHEL) or \
         'brew install httpd' (macOS), or set APXS to the path of apxs",
        list(searched)
    )]
    NoModules {
        /// The directories in which they were looked for.
        searched: Vec<PathBuf>,
    },
    /// A program cannot be started.
    #[error("cannot run '{program}': {source}")]
    Run {
        /// The path of the program.
        program: PathBuf,
        /// The reason of the failure.
        source: io::Error,
    },
    /// A program ended with a failure.
    #[error("'{command}' failed ({status}): {message}")]
    Failed {
        /// The command line.
        command: String,
        /// The status with which it ended.
        status: ExitStatus,
        /// What it printed on standard error.
        message: String,
    },
    /// A file cannot be read.
    #[error("cannot read '{path}': {source}")]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The reason of the failure.
        source: io::Error,
    },
    /// A version number is not where it should be.
    #[error("'{origin}' does not tell {what}: is it of Apache httpd 2.4?")]
    NoVersion {
        /// The file or program.
        origin: PathBuf,
        /// The name of the number.
        what: &'static str,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
