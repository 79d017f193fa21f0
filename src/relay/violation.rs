//! What a daemon process may not send. Its application can write to its connections itself, so nothing of it is
//! believed.
#![forbid(unsafe_code)]

use wsgi_websocket::session::Fault;
use wsgi_wire::codec::DecodeError;
use wsgi_wire::frame::Kind;

use super::sendable::PassedFileError;

/// A breach of the protocol: nothing more of the answer is taken, and the connection is not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame does not decode.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// A frame comes where none of its kind may come.
    #[error("a frame of the kind {0:?} has no place there")]
    OutOfPlace(Kind),
    /// A frame belongs to an exchange that is over, or to none.
    #[error("a frame of the kind {0:?} comes that is no part of this exchange")]
    Stray(Kind),
    /// A file comes without its descriptor.
    #[error("a file comes without its descriptor")]
    NoDescriptor,
    /// Descriptors come without files.
    #[error("descriptors come that belong to no file")]
    Descriptors,
    /// A descriptor comes that no response can be read from.
    #[error(transparent)]
    File(#[from] PassedFileError),
    /// There is more content than announced.
    #[error("there is more content than its Content-Length announces")]
    Overlong,
    /// There is less content than announced, and it is said to be whole.
    #[error("the response ends before the content that its Content-Length announces")]
    Short,
    /// The memory for content cannot be shared.
    #[error("it offers memory for content that cannot be shared")]
    Ring,
    /// More is said to be in this memory than fits, or nothing; or other content comes, or the end, before all that was
    /// found has been told of.
    #[error("the memory for content does not hold what is said to be in it")]
    Filled,
    /// The answer is one that the question cannot have.
    #[error("it answers another question than the one that was asked")]
    OtherQuestion,
    /// There are more early hints than one request may give.
    #[error("there are more early hints than one request may give")]
    Hints,
    /// A message or a close of a WebSocket is none.
    #[error(transparent)]
    WebSocket(#[from] Fault),
    /// The sub-protocol of a WebSocket is none of those that its client offers.
    #[error("it accepts a WebSocket with a sub-protocol that the client does not offer")]
    Subprotocol,
}
