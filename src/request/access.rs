//! Access scripts.
#![forbid(unsafe_code)]

use wsgi_wire::record::Level;

use crate::directives::settings::RequestSettings;
use crate::httpd::request::Request;
use crate::httpd::{Answer, log};

/// `access_checker`: what an access script protects is refused, because nothing can ask the script yet.
pub fn access_checker(r: &mut Request<'_>) -> Answer {
    let Some(script) = r.settings::<RequestSettings>().and_then(|s| s.access_script.as_deref()) else {
        return Answer::Declined;
    };
    log::request(
        r,
        Level::Error,
        format_args!(
            "WSGIAccessScript {} protects this resource, but access scripts are not available in this version; the request is refused",
            String::from_utf8_lossy(script)
        ),
    );
    Answer::Status(403)
}
