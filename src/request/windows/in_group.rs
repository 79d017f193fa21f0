//! A request's way to a daemon process, of which there is none on Windows.
#![forbid(unsafe_code)]

use wsgi_websocket::handshake::Handshake;

use crate::daemons::{Group, Runtime};
use crate::directives::settings::RequestSettings;
use crate::httpd::HookStatus;
use crate::httpd::request::Request;
use crate::policy::acceptance::BodyLength;
use crate::request::environ::Environ;
use crate::request::refused::Refused;

/// Never called: no value of a group can be made.
///
/// # Errors
/// None.
pub fn exchange<'r>(
    _r: &mut Request<'r>,
    _runtime: &Runtime,
    group: &Group,
    _settings: &RequestSettings,
    _environ: &Environ<'r>,
    _length: BodyLength,
    _handshake: Option<Handshake>,
) -> Result<HookStatus, Refused> {
    match *group {}
}
