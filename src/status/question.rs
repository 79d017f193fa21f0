//! What a request to the status handler asks for.
#![forbid(unsafe_code)]

use crate::policy::path::percent_decoded;

/// What a request for the status wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Whether Apache answers and the supervisor lives.
    Live,
    /// Whether all process groups, or this one, can answer requests.
    Ready(Option<Vec<u8>>),
    /// The status, in this form.
    Status(Format),
    /// A format that does not exist.
    Unknown(Vec<u8>),
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A page for people.
    Html,
    /// JSON, for programs.
    Json,
    /// For Prometheus, and whatever reads its format.
    Prometheus,
}

/// Understands a request: the last segment of its path `live` or `ready`, else `format=` in its query, else its Accept
/// header.
pub fn understand(path: &[u8], query: &[u8], accept: Option<&[u8]>) -> Question {
    match path.rsplit(|b| *b == b'/').next() {
        Some(b"live") => return Question::Live,
        Some(b"ready") => return Question::Ready(parameter(query, b"group")),
        _ => {}
    }
    match parameter(query, b"format").as_deref() {
        Some(b"html") => Question::Status(Format::Html),
        Some(b"json") => Question::Status(Format::Json),
        Some(b"prometheus") => Question::Status(Format::Prometheus),
        Some(other) => Question::Unknown(other.to_vec()),
        None => Question::Status(accept.map_or(Format::Html, negotiate)),
    }
}

/// The format that an Accept header likes best (RFC 9110 §12.5.1); of equals, and where nothing fits, the page for
/// people.
fn negotiate(accept: &[u8]) -> Format {
    let mut best = (Format::Html, 0);
    for range in accept.split(|b| *b == b',') {
        let mut parts = range.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let format = match parts.next().map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"text/html" | b"application/xhtml+xml") => Format::Html,
            Some(b"application/json") => Format::Json,
            Some(b"text/plain" | b"application/openmetrics-text") => Format::Prometheus,
            _ => continue,
        };
        let quality = parts.find_map(|p| p.strip_prefix(b"q=")).map_or(1000, thousandths);
        if quality > best.1 || quality == best.1 && format == Format::Html {
            best = (format, quality);
        }
    }
    best.0
}

fn thousandths(quality: &[u8]) -> u32 {
    let quality = std::str::from_utf8(quality).ok().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (quality.clamp(0.0, 1.0) * 1000.0) as u32
}

/// The first value of a parameter of the query, decoded.
fn parameter(query: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let pairs = query.split(|b| *b == b'&').filter_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        Some((&pair[..at], &pair[at + 1..]))
    });
    pairs.into_iter().find(|(known, _)| *known == name).map(|(_, value)| decode(value))
}

/// A value of a form, where a space may be written as `+`.
fn decode(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decoded(&spaced).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_asks_for_health() {
        assert_eq!(understand(b"/wsgi-status/live", b"", None), Question::Live);
        assert_eq!(understand(b"/wsgi-status/ready", b"", Some(b"text/html")), Question::Ready(None));
        let named = Question::Ready(Some(b"my app+%".to_vec()));
        assert_eq!(understand(b"/wsgi-status/ready", b"x=1&group=my+app%2b%", None), named);
        assert_eq!(understand(b"/wsgi-status/", b"", None), Question::Status(Format::Html));
    }

    #[test]
    fn the_query_decides_the_format_before_the_header_does() {
        let ask = |query: &str, accept: &str| understand(b"/s", query.as_bytes(), Some(accept.as_bytes()));
        assert_eq!(ask("format=json", "text/html"), Question::Status(Format::Json));
        assert_eq!(ask("format=prometheus", "text/html"), Question::Status(Format::Prometheus));
        assert_eq!(ask("format=xml", "text/html"), Question::Unknown(b"xml".to_vec()));
    }

    #[test]
    fn the_best_acceptable_format_is_chosen() {
        for (accept, format) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Html),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
                Format::Prometheus,
            ),
            ("application/json", Format::Json),
            ("text/html;q=0.5, application/json", Format::Json),
            ("application/json, text/html", Format::Html),
            ("text/plain;q=0", Format::Html),
            ("*/*", Format::Html),
            ("image/png", Format::Html),
        ] {
            assert_eq!(negotiate(accept.as_bytes()), format, "{accept}");
        }
    }
}
