//! What becomes of a request on a connection to a process.
#![forbid(unsafe_code)]

use rustix::io::Errno;
use wsgi_websocket::close;
use wsgi_wire::response::Reject;

use super::violation::Violation;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The response is whole and on its way. The connection can be used again.
    Complete,
    /// The application failed after the head was sent. The connection can be used again.
    Truncated,
    /// The application gave no response; the client gets this status. The connection can be used again.
    Failed(u16),
    /// The process has not executed the request. Another one may.
    Rejected(Reject),
    /// The process closed the connection without having read the request. Another one may execute it.
    NotExecuted,
    /// The process has not read the request within `queue-timeout`. It will not execute it when it does.
    Unread,
    /// The process is gone. `true`: a part of the response has been taken already.
    Lost(bool),
    /// The process has broken the protocol. `true`: a part of the response has been taken already.
    Violated(Violation, bool),
    /// The process is silent for longer than `socket-timeout`. `true`: a part of the response has been taken already.
    TimedOut(bool),
    /// The head cannot be sent; the client gets this status.
    Refused(u16),
    /// What was kept of the response for a slow client cannot be read again.
    Unkept(Errno),
    /// The client is gone.
    ClientGone,
    /// The application has accepted a WebSocket, which has its connection from now on.
    Accepted,
    /// A WebSocket goes on without this thread.
    HandedOver,
    /// A WebSocket has ended, with this code.
    WebSocket(End, u16),
}

impl Outcome {
    /// Whether the answer was read to its end, so that another request may follow on the connection.
    pub fn leaves_connection_usable(self) -> bool {
        matches!(self, Self::Complete | Self::Truncated | Self::Failed(_) | Self::Rejected(_))
    }
}

/// How a WebSocket has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// One of the ends has closed it, or the client is gone.
    Closed,
    /// The client has broken the protocol, and was told.
    Breach(close::Violation),
    /// The process has ended without closing it.
    ProcessLost,
    /// The process has broken the protocol.
    Violated(Violation),
    /// This Apache child stops.
    Stopped,
}
