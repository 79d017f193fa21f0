//! What follows from ASGI: nothing on Windows, since embedded mode speaks WSGI alone.
#![forbid(unsafe_code)]

use crate::daemons::{Group, Runtime};
use crate::httpd::request::Request;
use crate::request::destination::Destination;
use crate::request::refused::Refused;

/// Whether a body of unknown length is taken without `WSGIChunkedRequest`: never.
pub fn takes_chunks(_runtime: &Runtime, _process_group: &[u8]) -> bool {
    false
}

/// Never called: no value of a group can be made.
///
/// # Errors
/// None.
pub fn settle(
    _r: &mut Request<'_>,
    _runtime: &Runtime,
    group: &Group,
    _destination: &mut Destination<'_>,
) -> Result<(), Refused> {
    match *group {}
}
