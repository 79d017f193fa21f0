//! Files that an application has Apache send (`WSGISendfileRoot`): none on Windows, where no way is known to open one
//! that surely leads to nothing outside the directory.
#![forbid(unsafe_code)]

use std::fmt;

use wsgi_unix::descriptor::OwnedFd;
use wsgi_wire::response::Head;

use crate::policy::guarded::{Named, Root};

/// A file that takes the place of a response's content.
#[derive(Debug)]
pub struct GuardedFile {
    /// It, open for reading.
    pub file: OwnedFd,
    /// How many bytes it has.
    pub length: u64,
    /// When it was last modified, µs since the epoch.
    pub modified: i64,
}

impl GuardedFile {
    /// As httpd makes it from size and time by default (`FileETag MTime Size`).
    pub fn etag(&self) -> String {
        format!("\"{:x}-{:x}\"", self.length, self.modified)
    }
}

/// That a file is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSent;

impl NotSent {
    /// The status of the response instead.
    pub fn status(&self) -> u16 {
        500
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The application has a file sent, which Apache does not do for it on Windows.")
    }
}

/// The header that names a file: the last one. Whoever serves files in this way gets none of them to see.
pub fn named<'h>(head: &Head<'h>) -> Option<Named<'h>> {
    head.headers.clone().flatten().filter_map(|(name, value)| Named::by(name, value)).last()
}

/// Opens no file, wherever it is.
///
/// # Errors
/// [`NotSent`]
pub fn open(_named: Named<'_>, _roots: &[Root]) -> Result<GuardedFile, NotSent> {
    Err(NotSent)
}
