//! A file that Apache sends in the place of a response's content, and the header that names it.
#![forbid(unsafe_code)]

use wsgi_unix::descriptor::OwnedFd;
use wsgi_wire::response::Head;

use crate::policy::guarded::Named;

/// A file that takes the place of a response's content.
#[derive(Debug)]
pub struct GuardedFile {
    /// The file, open for reading.
    pub file: OwnedFd,
    /// The length of the file, bytes.
    pub length: u64,
    /// When it was last modified, µs since the epoch.
    pub modified: i64,
}

impl GuardedFile {
    /// The entity tag that httpd makes of size and time by default (`FileETag MTime Size`).
    pub fn etag(&self) -> String {
        format!("\"{:x}-{:x}\"", self.length, self.modified)
    }
}

/// The header of a response that names a file: the last one. A client of such a server does not get to see any of them.
pub fn named<'h>(head: &Head<'h>) -> Option<Named<'h>> {
    head.headers.clone().flatten().filter_map(|(name, value)| Named::by(name, value)).last()
}
