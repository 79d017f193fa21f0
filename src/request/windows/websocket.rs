//! Requests for WebSockets, which no group can be asked for on Windows.
#![forbid(unsafe_code)]

use wsgi_websocket::handshake::Handshake;

use crate::daemons::Group;
use crate::httpd::HookStatus;
use crate::httpd::request::Request;
use crate::policy::acceptance::BodyLength;
use crate::request::environ::Environ;

/// Never called: no value of a group can be made.
///
/// # Errors
/// None.
pub fn asked(_r: &mut Request<'_>, group: &Group, _length: BodyLength) -> Result<Option<Handshake>, HookStatus> {
    match *group {}
}

/// Never called, as above.
pub fn is_for_page(_r: &mut Request<'_>, group: &Group, _environ: &Environ<'_>) -> bool {
    match *group {}
}
