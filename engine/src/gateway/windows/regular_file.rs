//! The regular file below a `wsgi.file_wrapper`: Apache is handed none, and what the wrapper gives is read.

use pyo3::{Bound, PyAny};
use wsgi_unix::descriptor::OwnedFd;

use crate::interpreter::Interpreter;

/// A regular file, and the part of it that is to be sent.
pub(crate) struct Regular {
    /// A descriptor of this process's own for the file.
    pub(crate) file: OwnedFd,
    /// The position of the file.
    pub(crate) offset: u64,
    /// The number of bytes from there to its end.
    pub(crate) available: u64,
}

/// Finds no file that Apache could send.
pub(crate) fn below(_interpreter: &Interpreter, _wrapper: &Bound<'_, PyAny>) -> Option<Regular> {
    None
}
