//! Process groups, of which there are none on Windows.
#![forbid(unsafe_code)]

use wsgi_wire::messages::requests;

use crate::daemons::{Group, Runtime};
use crate::httpd::request::Request;
use crate::request::destination::Destination;
use crate::request::refused::Refused;

/// Finds no group, whatever its name is.
///
/// # Errors
/// [`Refused`]
pub fn find<'p>(
    _r: &Request<'_>,
    _runtime: &'p Runtime,
    destination: &mut Destination<'_>,
    _script: &[u8],
) -> Result<&'p Group, Refused> {
    let shown = String::from_utf8_lossy(&destination.process_group);
    let reason = format!("process group `{shown}` is not defined: Apache on Windows has no daemon processes");
    Err(Refused::new(&requests::UNKNOWN_GROUP, 500, reason))
}
