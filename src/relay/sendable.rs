//! What can be sent of a file that comes as content, or why it cannot.
#![forbid(unsafe_code)]

use rustix::io::Errno;

/// Why a piece of a passed file cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassedFileError {
    /// It is no regular file, but a pipe, a socket or an eventfd: a read may wait for ever, and takes the bytes from
    /// other readers.
    #[error("what was passed as a file is no regular one")]
    NotRegular,
    /// It is open for writing only, or for no access at all (O_PATH).
    #[error("a passed file is not open for reading")]
    NotReadable,
    /// The piece ends behind the end of the file.
    #[error("a passed file is shorter than what is to be sent of it")]
    TooShort,
    /// The system refuses the read.
    #[error("a passed file cannot be read ({0})")]
    Failed(Errno),
}

/// A piece of a file that can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sendable {
    /// Where it begins, bytes.
    pub offset: i64,
    /// How long it is, bytes.
    pub length: i64,
    /// Whether nobody can change the file any more, so that it may be mapped.
    pub sealed: bool,
}
