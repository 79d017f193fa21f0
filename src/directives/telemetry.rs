//! Directives of the peer's telemetry. They are checked, so that existing configurations load; nothing is reported yet.
#![forbid(unsafe_code)]

use super::configuration::Configuration;
use super::directive::Line;
use crate::policy::words::{Invalid, Value, all, one, show};

/// Checks `WSGITelemetryService unix:/path [interval=N]`.
pub fn service(_configuration: &mut Configuration, line: &Line<'_>) -> Result<(), Invalid> {
    let words = all(line.arguments);
    let (target, interval) = match words.as_slice() {
        [target] => (target, None),
        [target, interval] => (target, Some(interval)),
        _ => return Err(Invalid::Arguments("unix:/path, then interval=seconds")),
    };
    if target.strip_prefix(b"unix:").is_none_or(<[u8]>::is_empty) {
        return Err(Invalid::value("the service", target, "unix: and the path of a datagram socket"));
    }
    let Some(interval) = interval else { return Ok(()) };
    let text = interval
        .strip_prefix(b"interval=")
        .ok_or_else(|| Invalid::NoOption { word: show(interval), known: "interval".to_owned() })?;
    let seconds = Value { option: "interval", text: text.to_vec() }.positive()?;
    if seconds < 0.5 {
        return Err(Invalid::value("interval", text, "at least 0.5"));
    }
    Ok(())
}

/// Checks `WSGISlowRequests seconds`.
pub fn slow_requests(_configuration: &mut Configuration, line: &Line<'_>) -> Result<(), Invalid> {
    let given = one(line.arguments, "one argument, a number of seconds")?;
    let seconds = std::str::from_utf8(&given).ok().and_then(|t| t.parse::<f64>().ok());
    match seconds {
        Some(n) if n.is_finite() && n >= 0.0 => Ok(()),
        _ => Err(Invalid::value("the time", &given, "a number of seconds, or 0 for none")),
    }
}

/// Checks `WSGITelemetryOptions [+|-]Flag … | None | All`.
pub fn options(_configuration: &mut Configuration, line: &Line<'_>) -> Result<(), Invalid> {
    let words = all(line.arguments);
    if words.is_empty() {
        return Err(Invalid::Arguments("at least one flag"));
    }
    let relative = |word: &[u8]| matches!(word.first(), Some(b'+' | b'-'));
    for word in &words {
        let name = if relative(word) { &word[1..] } else { word };
        let whole = [&b"none"[..], b"all"].iter().any(|w| name.eq_ignore_ascii_case(w));
        if !(name.eq_ignore_ascii_case(b"CaptureUserAgent") || whole && !relative(word)) {
            return Err(Invalid::value("the flag", word, "CaptureUserAgent (with + or -), None or All"));
        }
    }
    if words.iter().any(|w| relative(w)) && !words.iter().all(|w| relative(w)) {
        return Err(Invalid::Conflict("flags with + or - cannot be mixed with flags without".to_owned()));
    }
    Ok(())
}
