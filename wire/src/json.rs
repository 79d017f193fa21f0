//! Records as lines of JSON (`WSGILogFormat json`): one record, one line, whatever it says. The fields are listed in `docs/logging.md`.

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;

use crate::limits;
use crate::record::{LocalTime, LogRecord};

/// What there is to know about a record besides itself. `None` is not known or does not apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The virtual host's `ServerName`.
    pub vhost: Option<&'a [u8]>,
    /// The process group; empty is embedded mode.
    pub process_group: Option<&'a [u8]>,
    /// The application group; empty is the main interpreter.
    pub application_group: Option<&'a [u8]>,
    /// The request that it is about.
    pub request: Option<Request<'a>>,
}

/// A request, as far as records tell of it. What is empty is not known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Apache's log id (`%L`), which the access log can have, too.
    pub id: &'a [u8],
    /// Its method.
    pub method: &'a [u8],
    /// The path of its URL, decoded, without the query string.
    pub path: &'a [u8],
    /// The client's address.
    pub client: &'a [u8],
    /// The script that answers it.
    pub script: &'a [u8],
}

#[derive(Serialize)]
struct Fields<'a> {
    time: String,
    level: &'static str,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceback: Option<Cow<'a, str>>,
    stream: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logger: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vhost: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_group: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_group: Option<Cow<'a, str>>,
    pid: u32,
    thread: u32,
    #[serde(skip_serializing_if = "is_false")]
    truncated: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// The record as one line, with its line end.
pub fn line(at: LocalTime, record: &LogRecord, context: &Context<'_>) -> String {
    let mut truncated = false;
    let mut text = |bytes, room| {
        let (text, whole) = fit(bytes, room);
        truncated |= !whole;
        text
    };
    let (request, origin) = (context.request, record.origin.as_ref());
    let mut name = |bytes| text(bytes, limits::JSON_NAME);
    let fields = Fields {
        time: rfc3339(at),
        level: record.level.name(),
        stream: record.stream.name(),
        logger: origin.map(|o| name(&o.logger)),
        file: origin.map(|o| name(&o.file)),
        line: origin.map(|o| o.line),
        request_id: request.map(|r| name(r.id)).filter(|id| !id.is_empty()),
        method: request.map(|r| name(r.method)).filter(|method| !method.is_empty()),
        path: request.map(|r| name(r.path)),
        client: request.map(|r| name(r.client)).filter(|client| !client.is_empty()),
        script: request.map(|r| name(r.script)),
        vhost: context.vhost.map(&mut name),
        process_group: context.process_group.map(&mut name),
        application_group: context.application_group.map(&mut name),
        pid: record.speaker.pid,
        thread: record.speaker.thread,
        message: text(record.headline(), limits::JSON_MESSAGE),
        traceback: record.traceback.as_deref().map(|t| text(t, limits::JSON_TRACEBACK)),
        truncated,
    };
    // Strings and numbers always can be JSON.
    let json = serde_json::to_string(&fields).unwrap_or_default();
    let mut out = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        // JSON lets them be, but there are readers for whom they end a line, and terminals that obey them.
        match is_hidden(c) {
            true => drop(write!(out, "\\u{:04x}", c as u32)),
            false => out.push(c),
        }
    }
    out.push('\n');
    out
}

/// Whether it ends a line for somebody, or controls something.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}')
}

/// A moment as RFC 3339 wants it, in local time with its offset.
fn rfc3339(at: LocalTime) -> String {
    let (sign, minutes) = (if at.offset < 0 { '-' } else { '+' }, at.offset.unsigned_abs() / 60);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}{sign}{:02}:{:02}",
        at.year,
        at.month + 1,
        at.day,
        at.hour,
        at.minute,
        at.second,
        at.microsecond,
        minutes / 60,
        minutes % 60
    )
}

/// The text, its middle left out if it would take more than `room` bytes as JSON, and whether it is whole. What is no UTF-8 is replaced.
fn fit(bytes: &[u8], room: usize) -> (Cow<'_, str>, bool) {
    const GAP: &str = " [...] ";
    let text = String::from_utf8_lossy(bytes);
    if text.len() * 6 <= room || text.chars().map(width).sum::<usize>() <= room {
        return (text, true);
    }
    let half = (room - GAP.len()) / 2;
    let head = fitting(text.chars(), half);
    let tail = fitting(text.chars().rev(), half);
    (Cow::Owned([&text[..head], GAP, &text[text.len() - tail..]].concat()), false)
}

/// How many bytes it takes inside of a JSON string.
fn width(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' || is_hidden(c) => 6,
        c => c.len_utf8(),
    }
}

/// How many bytes of text fit.
fn fitting(chars: impl Iterator<Item = char>, room: usize) -> usize {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += width(*c);
            used <= room
        })
        .map(char::len_utf8)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Level, Origin, Speaker, Stream};

    const AT: LocalTime = LocalTime {
        year: 2026,
        month: 10,
        day: 2,
        weekday: 1,
        hour: 1,
        minute: 2,
        second: 3,
        microsecond: 45,
        offset: -(5 * 3600 + 30 * 60),
    };

    fn record(message: &[u8]) -> LogRecord {
        let speaker = Speaker { pid: 12, thread: 13 };
        LogRecord { message: message.into(), stream: Stream::Stderr, ..LogRecord::ours(Level::Warn, speaker, "") }
    }

    fn parsed(line: &str) -> serde_json::Value {
        let (content, end) = line.split_at(line.len() - 1);
        assert_eq!(end, "\n");
        assert!(!content.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "{content}");
        serde_json::from_str(content).unwrap()
    }

    #[test]
    fn the_fields_have_these_names_and_this_order() {
        let request = Request { id: b"id", method: b"GET", path: b"/a", client: b"::1", script: b"/s.wsgi" };
        let context = Context {
            vhost: Some(b"host"),
            process_group: Some(b"g"),
            application_group: Some(b""),
            request: Some(request),
        };
        let origin = Some(Origin { logger: "shop".into(), file: "/a.py".into(), line: 7 });
        let record = LogRecord { traceback: Some("Traceback\n  x\nE: y".into()), origin, ..record(b"hello") };
        assert_eq!(
            line(AT, &record, &context),
            concat!(
                r#"{"time":"2026-11-02T01:02:03.000045-05:30","level":"warn","message":"hello","#,
                r#""traceback":"Traceback\n  x\nE: y","stream":"stderr","logger":"shop","file":"/a.py","line":7,"#,
                r#""request_id":"id","method":"GET","path":"/a","client":"::1","script":"/s.wsgi","vhost":"host","#,
                r#""process_group":"g","application_group":"","pid":12,"thread":13}"#,
                "\n"
            )
        );
        let plain = concat!(
            r#"{"time":"2026-11-02T01:02:03.000045-05:30","level":"warn","message":"","stream":"stderr","pid":12,"thread":13}"#,
            "\n"
        );
        assert_eq!(line(AT, &self::record(b""), &Context::default()), plain);
    }

    #[test]
    fn nothing_breaks_the_line_or_the_json() {
        let all: String = (0..0x100).chain(0x2020..0x2030).filter_map(char::from_u32).collect();
        assert_eq!(parsed(&line(AT, &record(all.as_bytes()), &Context::default()))["message"], all);
        let bytes = b"a\0\xff\xc3(\xed\xa0\x80\"}\r\n";
        let found = parsed(&line(AT, &record(bytes), &Context::default()));
        assert_eq!(found["message"], String::from_utf8_lossy(bytes).as_ref());
        assert_eq!(found.get("truncated"), None);
    }

    #[test]
    fn what_is_too_long_keeps_its_ends_and_says_so() {
        for middle in ["x", "\0", "\"", "\u{2028}", "naïve", "\u{1f600}"] {
            let long = ["begin ", &middle.repeat(1 << 18), " end"].concat();
            let record = LogRecord { traceback: Some(long.as_str().into()), ..record(long.as_bytes()) };
            let line = line(AT, &record, &Context::default());
            assert!(line.len() < limits::JSON_MESSAGE + limits::JSON_TRACEBACK + 400, "{}", line.len());
            let found = parsed(&line);
            for field in ["message", "traceback"] {
                let text = found[field].as_str().unwrap();
                assert!(
                    text.starts_with("begin ") && text.ends_with(" end") && text.contains(" [...] "),
                    "{field} of {middle:?}"
                );
            }
            assert_eq!(found["truncated"], true);
        }
    }
}
