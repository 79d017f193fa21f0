//! Files that an application has Apache send (`WSGISendfileRoot`).
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::Stat;
use rustix::io::Errno;
use wsgi_unix::files::{BeneathError, open_beneath};

use super::guarded_file::GuardedFile;
use crate::policy::guarded::{Named, Root};

/// Why a file is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardedFileError {
    named: String,
    why: Option<BeneathError>,
}

impl GuardedFileError {
    /// The status that the client gets instead.
    pub fn status(&self) -> u16 {
        match self.why {
            Some(BeneathError::Failed(Errno::NOENT | Errno::NOTDIR) | BeneathError::NotRegular) => 404,
            Some(BeneathError::Failed(Errno::ACCESS)) => 403,
            _ => 500,
        }
    }
}

impl fmt::Display for GuardedFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The application has {} sent, ", self.named)?;
        match self.why {
            Some(why) => write!(f, "which Apache cannot do: {why}."),
            None => f.write_str("which is below no directory that a WSGISendfileRoot gives."),
        }
    }
}

/// Opens the file.
///
/// # Errors
/// [`GuardedFileError`]
pub fn open(named: Named<'_>, roots: &[Root]) -> Result<GuardedFile, GuardedFileError> {
    let mut why = None;
    for (root, rest) in named.places(roots) {
        // `/` loses its slash.
        let directory = if root.directory.is_empty() { b"/" } else { root.directory.as_slice() };
        match open_beneath(path(directory), path(&rest)) {
            Ok((file, stat)) => return Ok(guarded_file(file, &stat)),
            // What leads out of its directory says more than what is not there.
            Err(error) if why.is_none() || error == BeneathError::Outside => why = Some(error),
            Err(_) => {}
        }
    }
    let (Named::Path(text) | Named::Url(text)) = named;
    Err(GuardedFileError { named: String::from_utf8_lossy(text).into_owned(), why })
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn guarded_file(file: OwnedFd, stat: &Stat) -> GuardedFile {
    let modified = stat.st_mtime.saturating_mul(1_000_000).saturating_add(stat.st_mtime_nsec as i64 / 1000);
    GuardedFile { file, length: stat.st_size.unsigned_abs(), modified }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_sent_has_a_status_and_a_reason() {
        let roots =
            [Root { directory: b"/dev".to_vec(), url: None }, Root { directory: b"/proc/self".to_vec(), url: None }];
        let refused = |path: &[u8]| open(Named::Path(path), &roots).map(|_| ()).unwrap_err();
        assert_eq!(refused(b"/dev/none/of/that/name").status(), 404);
        assert_eq!(refused(b"/dev/null").status(), 404);
        assert_eq!(refused(b"/dev/../etc/passwd").status(), 500);
        assert_eq!(refused(b"/proc/self/root/etc/passwd").status(), 500);
        let elsewhere = refused(b"/etc/passwd");
        assert_eq!(elsewhere.status(), 500);
        let text = "The application has /etc/passwd sent, which is below no directory that a WSGISendfileRoot gives.";
        assert_eq!(elsewhere.to_string(), text);
    }
}
