//! `WSGITelemetryService`, `WSGITelemetryOptions` and `WSGISlowRequests`: who is told what requests cost.
#![forbid(unsafe_code)]

use super::configuration::Configuration;
use super::directive::Line;
use crate::policy::words::{Invalid, Value, all, one, show};

/// The longest path of a socket: `sockaddr_un.sun_path`, less the terminator.
const SOCKET_PATH: usize = 107;

/// Sets `WSGITelemetryService unix:/path [interval=N]`.
pub fn service(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), Invalid> {
    let words = all(line.arguments);
    let (target, interval) = match words.as_slice() {
        [target] => (target, None),
        [target, interval] => (target, Some(interval)),
        _ => return Err(Invalid::Arguments("unix:/path, then interval=seconds")),
    };
    let Some(path) = target.strip_prefix(b"unix:").filter(|path| path.starts_with(b"/")) else {
        return Err(Invalid::value("the service", target, "unix: and the absolute path of a datagram socket"));
    };
    if path.len() > SOCKET_PATH {
        return Err(Invalid::value("the service", target, "unix: and the path of a socket of at most 107 bytes"));
    }
    let seconds = match interval {
        None => 1.0,
        Some(interval) => {
            let text = interval
                .strip_prefix(b"interval=")
                .ok_or_else(|| Invalid::NoOption { word: show(interval), known: "interval".to_owned() })?;
            let seconds = Value { option: "interval", text: text.to_vec() }.positive()?;
            if seconds < 0.5 {
                return Err(Invalid::value("interval", text, "at least 0.5"));
            }
            seconds
        }
    };
    configuration.telemetry.service = Some((path.to_vec(), seconds));
    Ok(())
}

/// Sets `WSGISlowRequests seconds`.
pub fn slow_requests(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), Invalid> {
    let given = one(line.arguments, "one argument, a number of seconds")?;
    let seconds = std::str::from_utf8(&given).ok().and_then(|t| t.parse::<f64>().ok());
    match seconds {
        Some(n) if n.is_finite() && n >= 0.0 => {
            configuration.telemetry.slow_requests = n;
            Ok(())
        }
        _ => Err(Invalid::value("the time", &given, "a number of seconds, or 0 for none")),
    }
}

/// Sets `WSGITelemetryOptions [+|-]Flag … | None | All`: flags with a sign change what earlier lines say, others take
/// its place.
pub fn options(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), Invalid> {
    let words = all(line.arguments);
    if words.is_empty() {
        return Err(Invalid::Arguments("at least one flag"));
    }
    let relative = |word: &[u8]| matches!(word.first(), Some(b'+' | b'-'));
    let mut user_agent = configuration.telemetry.user_agent && relative(&words[0]);
    for word in &words {
        let name = if relative(word) { &word[1..] } else { word };
        let whole = [&b"none"[..], b"all"].iter().any(|w| name.eq_ignore_ascii_case(w));
        if !(name.eq_ignore_ascii_case(b"CaptureUserAgent") || whole && !relative(word)) {
            return Err(Invalid::value("the flag", word, "CaptureUserAgent (with + or -), None or All"));
        }
        user_agent = !word.starts_with(b"-") && !name.eq_ignore_ascii_case(b"none");
    }
    if words.iter().any(|w| relative(w)) && !words.iter().all(|w| relative(w)) {
        return Err(Invalid::Conflict("flags with + or - cannot be mixed with flags without".to_owned()));
    }
    configuration.telemetry.user_agent = user_agent;
    Ok(())
}
