//! The directive `WSGILogFormat`.
#![forbid(unsafe_code)]

use wsgi_wire::record::Format;

use super::configuration::Configuration;
use super::directive::Line;
use super::settings::ServerSettings;
use crate::policy::words::{ArgumentError, one};

/// The setter of `WSGILogFormat`.
pub fn format(settings: &mut ServerSettings, _: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let given = one(line.arguments, "one argument: text or json")?;
    let known = [Format::Text, Format::Json].into_iter().find(|f| given.eq_ignore_ascii_case(f.name().as_bytes()));
    settings.log_format = Some(known.ok_or_else(|| ArgumentError::value("the format", &given, "text or json"))?);
    Ok(())
}
