//! The socket of a request's client, of which embedded mode needs to know nothing.
#![forbid(unsafe_code)]

use std::time::Duration;

use wsgi_unix::descriptor::BorrowedFd;

use super::request::Request;

/// The socket, which is not told here.
pub fn of_client<'r>(_r: &'r Request<'_>) -> Option<BorrowedFd<'r>> {
    None
}

/// What tells that something has come on a stream of HTTP/2: nobody tells here.
pub fn of_stream<'r>(_r: &'r Request<'_>) -> Option<BorrowedFd<'r>> {
    None
}

/// Whether the client is silent, which is not told here.
pub fn is_silent(_r: &Request<'_>, _wait: Duration) -> bool {
    false
}
