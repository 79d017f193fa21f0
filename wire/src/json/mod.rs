//! Records as lines of JSON (`WSGILogFormat json`): one record, one line, whatever it says, unless it is so long that
//! it is continued in further ones. The fields are listed in `docs/logging.md`.
//!
//! Knows records. Must not know who writes them, or where to.

pub mod apache;

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;

use crate::limits;
use crate::pieces;
use crate::record::{LocalTime, LogRecord};

/// The facts about a record besides its own. `None`: not known, or does not apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// The virtual host's `ServerName`.
    pub vhost: Option<&'a [u8]>,
    /// The process group; empty is embedded mode.
    pub process_group: Option<&'a [u8]>,
    /// The application group; empty is the main interpreter.
    pub application_group: Option<&'a [u8]>,
    /// The request that the record is about.
    pub request: Option<Request<'a>>,
}

/// A request, as records name it. Empty: not known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Apache's log id (`%L`), which the access log can have, too.
    pub id: &'a [u8],
    /// The method of the request.
    pub method: &'a [u8],
    /// The path of its URL, decoded, without the query string.
    pub path: &'a [u8],
    /// The client's address.
    pub client: &'a [u8],
    /// The script that answers it.
    pub script: &'a [u8],
}

/// The members of a record, in the order in which they are written.
#[derive(Clone, Serialize)]
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

/// Makes the lines of a record, with their line ends: one, unless its message or its traceback is too long for that.
/// The lines that follow say that they continue it.
pub fn lines(at: LocalTime, record: &LogRecord, context: &Context<'_>) -> Vec<String> {
    let mut messages = pieces::pieces(record.headline(), limits::JSON_MESSAGE, width);
    if record.message.is_empty() {
        // All of it stands in the traceback.
        messages.truncate(1);
    }
    let traceback = record.traceback.as_deref().map(|text| pieces::pieces(text, limits::JSON_TRACEBACK, width));
    let mut tracebacks = traceback.unwrap_or_default().into_iter();
    let count = messages.len() + tracebacks.len().saturating_sub(1);
    let base = fields(at, record, context);
    let mut lines = Vec::with_capacity(count);
    for at in 0..count {
        let mark = pieces::continued(at, count);
        let message = match messages.get(at) {
            Some(text) if mark.is_empty() => String::from_utf8_lossy(text),
            Some(text) => Cow::Owned(mark + &String::from_utf8_lossy(text)),
            None => Cow::Owned(mark.trim_end_matches([':', ' ']).to_owned()),
        };
        // It begins in the record in which the message ends.
        let traceback = if at + 1 < messages.len() { None } else { tracebacks.next().map(String::from_utf8_lossy) };
        lines.push(render(&Fields { message, traceback, ..base.clone() }));
    }
    lines
}

/// The fields that all lines of a record have in common.
fn fields<'a>(at: LocalTime, record: &'a LogRecord, context: &Context<'a>) -> Fields<'a> {
    let mut truncated = false;
    let (request, origin) = (context.request, record.origin.as_ref());
    let mut name = |bytes| {
        let (text, whole) = fit(bytes, limits::JSON_NAME);
        truncated |= !whole;
        text
    };
    Fields {
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
        pid: record.writer.pid,
        thread: record.writer.thread,
        message: Cow::default(),
        traceback: None,
        truncated,
    }
}

fn render(fields: &Fields<'_>) -> String {
    // Strings and numbers always can be JSON.
    let json = serde_json::to_string(fields).unwrap_or_default();
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

/// Whether a character ends a line for some reader, or controls a terminal.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}')
}

/// Formats a moment as RFC 3339 has it, in local time with its offset.
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

/// Shortens a text whose JSON form would take more than `room` bytes, by leaving out its middle, and says whether it is
/// whole. Bytes that are not UTF-8 are replaced.
fn fit(bytes: &[u8], room: usize) -> (Cow<'_, str>, bool) {
    const GAP: &str = " [...] ";
    let text = String::from_utf8_lossy(bytes);
    if text.len() * 6 <= room || text.chars().map(room_of).sum::<usize>() <= room {
        return (text, true);
    }
    let half = room.saturating_sub(GAP.len()) / 2;
    let head = fitting(text.chars(), half);
    let tail = fitting(text.chars().rev(), half);
    (Cow::Owned([&text[..head], GAP, &text[text.len() - tail..]].concat()), false)
}

/// How many bytes a byte of a text takes inside of a JSON string at the most: a part of a character, or the mark in
/// place of an invalid byte.
fn width(byte: u8) -> usize {
    if byte.is_ascii() { room_of(char::from(byte)) } else { 3 }
}

/// How many bytes a character takes inside of a JSON string.
fn room_of(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' || is_hidden(c) => 6,
        c => c.len_utf8(),
    }
}

/// How many bytes of a text fit.
fn fitting(chars: impl Iterator<Item = char>, room: usize) -> usize {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += room_of(*c);
            used <= room
        })
        .map(char::len_utf8)
        .sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::Topic;
    use crate::record::{Level, Origin, Stream, Writer};

    /// The second of November 2026, 01:02:03.000045, five and a half hours behind UTC.
    fn at() -> LocalTime {
        LocalTime::at(Duration::new(1_793_581_323 + 19_800, 45_000), -19_800)
    }

    fn record(message: &[u8]) -> LogRecord {
        let writer = Writer { pid: 12, thread: 13 };
        LogRecord {
            level: Level::Warn,
            message: message.into(),
            stream: Stream::Stderr,
            ..LogRecord::ours(Topic::INFO, writer, "")
        }
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
            lines(at(), &record, &context).concat(),
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
        assert_eq!(lines(at(), &self::record(b""), &Context::default()), [plain]);
    }

    #[test]
    fn nothing_breaks_the_line_or_the_json() {
        let all: String = (0..0x100).chain(0x2020..0x2030).filter_map(char::from_u32).collect();
        assert_eq!(parsed(&lines(at(), &record(all.as_bytes()), &Context::default())[0])["message"], all);
        let bytes = b"a\0\xff\xc3(\xed\xa0\x80\"}\r\n";
        let found = parsed(&lines(at(), &record(bytes), &Context::default())[0]);
        assert_eq!(found["message"], String::from_utf8_lossy(bytes).as_ref());
        assert_eq!(found.get("truncated"), None);
    }

    #[test]
    fn what_is_too_long_is_continued_in_further_records_and_nothing_is_lost() {
        for middle in ["x", "\0", "\"", "\u{2028}", "naïve", "\u{1f600}", "a line\n"] {
            let long = ["begin ", &middle.repeat(1 << 16), " end"].concat();
            for (message, traceback) in
                [(&*long, Some(&*long)), (&*long, None), ("short", Some(&*long)), ("", Some(&*long))]
            {
                let record = LogRecord { traceback: traceback.map(Into::into), ..record(message.as_bytes()) };
                let lines = lines(at(), &record, &Context { vhost: Some(b"host"), ..Context::default() });
                let (mut said, mut trace) = (String::new(), String::new());
                for (at, line) in lines.iter().enumerate() {
                    assert!(line.len() < limits::JSON_MESSAGE + limits::JSON_TRACEBACK + 400, "{}", line.len());
                    let found = parsed(line);
                    assert_eq!((&found["vhost"], found.get("truncated")), (&"host".into(), None));
                    let (mark, text) = (pieces::continued(at, lines.len()), found["message"].as_str().unwrap());
                    said += text.strip_prefix(&*mark).unwrap_or_else(|| {
                        assert_eq!(text, mark.trim_end_matches([':', ' ']));
                        ""
                    });
                    trace += found["traceback"].as_str().unwrap_or_default();
                }
                assert!(lines.len() > 1 && trace == traceback.unwrap_or_default(), "{middle:?}");
                assert!(said == message || message.is_empty(), "{middle:?}");
            }
        }
    }

    #[test]
    fn a_name_that_is_too_long_keeps_its_ends_and_says_so() {
        let path = ["/begin", &"\u{2028}".repeat(1 << 10), "end"].concat();
        let request = Request { path: path.as_bytes(), ..Request::default() };
        let found = parsed(&lines(at(), &record(b""), &Context { request: Some(request), ..Context::default() })[0]);
        let told = found["path"].as_str().unwrap();
        assert!(told.starts_with("/begin") && told.ends_with("end") && told.contains(" [...] "));
        assert_eq!(found["truncated"], true);
    }
}
