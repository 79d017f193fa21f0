//! `SetHandler wsgi-status`: on Windows there are no processes to tell about.
#![forbid(unsafe_code)]

use crate::httpd::HookStatus;
use crate::httpd::request::Request;

/// There is no such page.
pub fn status(_r: &mut Request<'_>) -> HookStatus {
    HookStatus::Status(404)
}

/// Nothing is added to mod_status' page.
pub fn mod_status_part(_r: &mut Request<'_>, _short: bool) {}
