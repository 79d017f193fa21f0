//! What a daemon process may not send. Its application can write to its connections itself, so nothing of it is
//! believed.
#![forbid(unsafe_code)]

use wsgi_wire::codec::DecodeError;
use wsgi_wire::frame::Kind;

use super::passed::PassedFileError;

/// Why nothing more of an answer is taken, and no other request goes over its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame is not what its kind should be.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// A frame where none of its kind may be.
    #[error("a frame of the kind {0:?} has no place there")]
    OutOfPlace(Kind),
    /// A frame that belongs to an exchange that is over, or to none.
    #[error("a frame of the kind {0:?} comes that is no part of this exchange")]
    Stray(Kind),
    /// A file without its descriptor.
    #[error("a file comes without its descriptor")]
    NoDescriptor,
    /// Descriptors without files.
    #[error("descriptors come that belong to no file")]
    Descriptors,
    /// A descriptor that no response can be read from.
    #[error(transparent)]
    File(#[from] PassedFileError),
    /// More content than announced.
    #[error("there is more content than its Content-Length announces")]
    Overlong,
    /// Less content than announced, and said to be whole.
    #[error("the response ends before the content that its Content-Length announces")]
    Short,
    /// An answer that the question cannot have.
    #[error("it answers another question than the one that was asked")]
    OtherQuestion,
    /// More early hints than one request may give.
    #[error("there are more early hints than one request may give")]
    Hints,
}
