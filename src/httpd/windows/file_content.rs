//! Files in the content of a response: on Windows nobody hands any over, and the engine reads them.
#![forbid(unsafe_code)]

use wsgi_unix::descriptor::OwnedFd;
use wsgi_wire::response::File;

use super::request::Request;
use super::response::ResponseBody;
use crate::relay::sendable::{PassedFileError, Sendable};
use crate::relay::violation::Violation;

/// How Apache may send a file.
#[derive(Debug, Clone, Copy)]
pub struct FileWays {
    /// Whether `EnableMMAP` is on.
    pub mmap: bool,
    /// Whether `EnableSendfile` and `WSGIEnableSendfile` are on.
    pub sendfile: bool,
}

/// Refuses each file: none can be sent.
///
/// # Errors
/// [`PassedFileError::NotRegular`]
pub fn check(_file: &OwnedFd, _piece: &File) -> Result<Sendable, PassedFileError> {
    Err(PassedFileError::NotRegular)
}

impl ResponseBody {
    /// Adds no file to the content.
    ///
    /// # Errors
    /// [`Violation::NoDescriptor`]
    pub fn add_file(
        &mut self,
        _r: &mut Request<'_>,
        _file: OwnedFd,
        _piece: Sendable,
        _ways: FileWays,
    ) -> Result<(), Violation> {
        Err(Violation::NoDescriptor)
    }
}
