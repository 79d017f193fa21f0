//! A client as both its request and a WebSocket have it: its connection, and records in the context of its request.
#![forbid(unsafe_code)]

use std::time::Duration;

use wsgi_unix::descriptor::BorrowedFd;
use wsgi_wire::messages::Message;
use wsgi_wire::record::LogRecord;

use super::own_record;

/// The client is gone, or a filter of Apache's failed: there is nobody to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// The request that a client has made, whatever is sent to that client.
pub trait RequestContext {
    /// Asks mod_ssl for a variable of this client's connection.
    fn ssl_variable(&mut self, _name: &[u8]) -> Option<Vec<u8>> {
        None
    }

    /// How many bytes of the error log a record of an application takes at the most.
    fn log_cost(&self, record: &LogRecord) -> usize {
        record.cost(0)
    }

    /// Writes a record into the error log, in the context of the request.
    fn log(&mut self, record: &LogRecord);

    /// Writes a record of this process's own into the error log, in the context of the request.
    fn tell(&mut self, message: &'static Message, text: &str) {
        self.log(&own_record::ours(message, text));
    }
}

/// The client's connection, where what is sent there belongs to this request alone.
pub trait Peer: RequestContext {
    /// Whether the client is known to be gone, where it has no [`Self::socket`] that could tell.
    fn is_gone(&self) -> bool {
        false
    }

    /// The socket of the connection; `None` where several requests share that.
    fn socket(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// What tells that something has come for a WebSocket; `None` where nobody does.
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.socket()
    }

    /// How long a write to the client may take, if there is a limit.
    fn send_timeout(&self) -> Option<Duration> {
        None
    }

    /// Appends bytes that have come for a WebSocket. Returns whether more may have; does not wait.
    ///
    /// # Errors
    /// [`Gone`]: nothing more comes.
    fn receive_bytes(&mut self, _out: &mut Vec<u8>) -> Result<bool, Gone> {
        Err(Gone)
    }

    /// Sends the first of these bytes of a WebSocket, as far as that goes without waiting, and what is held of earlier
    /// ones before them. Returns how many were taken.
    ///
    /// # Errors
    /// [`Gone`]
    fn send_bytes(&mut self, _bytes: &[u8]) -> Result<usize, Gone> {
        Err(Gone)
    }

    /// Whether bytes of a WebSocket that were taken are still held here.
    fn holds_bytes(&self) -> bool {
        false
    }
}
