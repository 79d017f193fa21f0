//! `WSGILogFormat`.
#![forbid(unsafe_code)]

use wsgi_wire::record::Format;

use super::Line;
use super::configuration::Configuration;
use super::settings::ServerSettings;
use super::words::{Invalid, one};

/// Sets `WSGILogFormat`.
pub fn format(settings: &mut ServerSettings, _: &mut Configuration, line: &Line<'_>) -> Result<(), Invalid> {
    let given = one(line.arguments, "one argument: text or json")?;
    let format = match given.to_ascii_lowercase().as_slice() {
        b"text" => Format::Text,
        b"json" => Format::Json,
        _ => return Err(Invalid::value("the format", &given, "text or json")),
    };
    settings.log_format = Some(format);
    Ok(())
}
