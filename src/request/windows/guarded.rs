//! Files that an application has Apache send (`WSGISendfileRoot`): none on Windows, where no way is known to open one
//! that surely leads to nothing outside the directory.
#![forbid(unsafe_code)]

use std::fmt;

use super::guarded_file::GuardedFile;
use crate::policy::guarded::{Named, Root};

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

/// Opens no file, wherever it is.
///
/// # Errors
/// [`NotSent`]
pub fn open(_named: Named<'_>, _roots: &[Root]) -> Result<GuardedFile, NotSent> {
    Err(NotSent)
}
