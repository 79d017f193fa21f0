//! `WSGITelemetryService`, `WSGITelemetryOptions`, `WSGISlowRequests`, `WSGIOpenTelemetry`: who is told what requests
//! cost.
#![forbid(unsafe_code)]

use std::str;

use wsgi_wire::control::Export;

use super::configuration::{Configuration, OpenTelemetry};
use super::directive::Line;
use crate::policy::trace::Sampling;
use crate::policy::words::{ArgumentError, Value, all, one, option, show, word};

/// The longest path of a socket: `sockaddr_un.sun_path`, less the terminator.
const SOCKET_PATH: usize = 107;

/// Sets `WSGITelemetryService unix:/path [interval=N]`.
pub fn service(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let words = all(line.arguments);
    let (target, interval) = match words.as_slice() {
        [target] => (target, None),
        [target, interval] => (target, Some(interval)),
        _ => return Err(ArgumentError::Arguments("unix:/path, then interval=seconds")),
    };
    let Some(path) = target.strip_prefix(b"unix:").filter(|path| path.starts_with(b"/")) else {
        return Err(ArgumentError::value("the service", target, "unix: and the absolute path of a datagram socket"));
    };
    if path.len() > SOCKET_PATH {
        return Err(ArgumentError::value("the service", target, "unix: and the path of a socket of at most 107 bytes"));
    }
    let seconds = match interval {
        None => 1.0,
        Some(interval) => {
            let text = interval
                .strip_prefix(b"interval=")
                .ok_or_else(|| ArgumentError::NoOption { word: show(interval), known: "interval".to_owned() })?;
            let seconds = Value { option: "interval", text: text.to_vec() }.positive()?;
            if seconds < 0.5 {
                return Err(ArgumentError::value("interval", text, "at least 0.5"));
            }
            seconds
        }
    };
    configuration.telemetry.service = Some((path.to_vec(), seconds));
    Ok(())
}

/// The port on which collectors listen for OTLP over HTTP.
const COLLECTOR: &str = "4318";

/// Sets `WSGIOpenTelemetry http://host[:port][/path] [service=NAME] [sample=SHARE] [interval=SECONDS]
/// [resource=KEY=VALUE …]`.
pub fn open(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let mut rest = line.arguments;
    let url = word(&mut rest).ok_or(ArgumentError::Arguments("http://host:port of a collector, then options"))?;
    let (authority, path) = collector(&url).ok_or_else(|| {
        ArgumentError::value("the collector", &url, "http://host:port, of one that takes OTLP over HTTP")
    })?;
    let (mut service, mut share, mut interval, mut resource) = ("mod_wsgi".to_owned(), 1.0, 60, Vec::new());
    while let Some(value) = option(&mut rest, &["service", "sample", "interval", "resource"])? {
        match value.option {
            "service" => service = text(&value, value.text.as_slice())?,
            "sample" => share = part(&value)?,
            "interval" => interval = value.number(1..=3600)?,
            _ => resource.push(attribute(&value)?),
        }
    }
    if !resource.iter().any(|(key, _)| key == "service.name") {
        resource.insert(0, ("service.name".to_owned(), service));
    }
    let export = Export { authority, path, interval, resource };
    configuration.telemetry.open = Some(OpenTelemetry { export, sampling: Sampling::share(share) });
    Ok(())
}

/// Splits a URL into host and port, and the path in front of `/v1/…`.
fn collector(url: &[u8]) -> Option<(String, String)> {
    let rest = str::from_utf8(url).ok()?.strip_prefix("http://")?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@'));
    // The colons of an IPv6 address are in brackets.
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:{COLLECTOR}") };
    let (host, port) = authority.rsplit_once(':')?;
    let is_address = !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0);
    (is_address && is_plain(rest)).then(|| (authority.clone(), path.trim_end_matches('/').to_owned()))
}

/// Parses a share, a number from 0 to 1.
fn part(value: &Value<'_>) -> Result<f64, ArgumentError> {
    let parsed = str::from_utf8(&value.text).ok().and_then(|text| text.parse::<f64>().ok());
    parsed
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| ArgumentError::value(value.option, &value.text, "a share from 0 to 1"))
}

fn attribute(value: &Value<'_>) -> Result<(String, String), ArgumentError> {
    let expected = || ArgumentError::value(value.option, &value.text, "KEY=VALUE, an attribute of the resource");
    let at = value.text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0).ok_or_else(expected)?;
    Ok((text(value, &value.text[..at])?, text(value, &value.text[at + 1..])?))
}

/// Checks that a text is UTF-8, is not empty and has no control character.
fn text(value: &Value<'_>, text: &[u8]) -> Result<String, ArgumentError> {
    let is_text = |text: &&str| !text.is_empty() && !text.contains(char::is_control);
    str::from_utf8(text)
        .ok()
        .filter(is_text)
        .map(str::to_owned)
        .ok_or_else(|| ArgumentError::value(value.option, &value.text, "text in UTF-8"))
}

/// Sets `WSGISlowRequests seconds`.
pub fn slow_requests(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let given = one(line.arguments, "one argument, a number of seconds")?;
    let seconds = std::str::from_utf8(&given).ok().and_then(|t| t.parse::<f64>().ok());
    match seconds {
        Some(n) if n.is_finite() && n >= 0.0 => {
            configuration.telemetry.slow_requests = n;
            Ok(())
        }
        _ => Err(ArgumentError::value("the time", &given, "a number of seconds, or 0 for none")),
    }
}

/// Sets `WSGITelemetryOptions [+|-]Flag … | None | All`: flags with a sign change what earlier lines say, others take
/// its place.
pub fn options(configuration: &mut Configuration, line: &Line<'_>) -> Result<(), ArgumentError> {
    let words = all(line.arguments);
    if words.is_empty() {
        return Err(ArgumentError::Arguments("at least one flag"));
    }
    let relative = |word: &[u8]| matches!(word.first(), Some(b'+' | b'-'));
    let mut user_agent = configuration.telemetry.user_agent && relative(&words[0]);
    for word in &words {
        let name = if relative(word) { &word[1..] } else { word };
        let whole = [&b"none"[..], b"all"].iter().any(|w| name.eq_ignore_ascii_case(w));
        if !(name.eq_ignore_ascii_case(b"CaptureUserAgent") || whole && !relative(word)) {
            return Err(ArgumentError::value("the flag", word, "CaptureUserAgent (with + or -), None or All"));
        }
        user_agent = !word.starts_with(b"-") && !name.eq_ignore_ascii_case(b"none");
    }
    if words.iter().any(|w| relative(w)) && !words.iter().all(|w| relative(w)) {
        return Err(ArgumentError::Conflict("flags with + or - cannot be mixed with flags without".to_owned()));
    }
    configuration.telemetry.user_agent = user_agent;
    Ok(())
}
