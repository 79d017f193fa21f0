//! Records of Apache itself and of its other modules as lines of JSON, and what the command says before Apache does.

use std::borrow::Cow;

use super::{Context, Fields, fit, render, rfc3339};
use crate::record::{Level, LocalTime, Writer};

/// How many bytes of a line each name takes at the most: all of them leave room for the message in a line of Apache's.
const NAME: usize = 512;

/// A record that Apache, or a module of it, writes.
#[derive(Debug)]
pub struct Record<'a> {
    /// The level of the record.
    pub level: Level,
    /// What is said.
    pub message: &'a [u8],
    /// The program that says it.
    pub stream: &'static str,
    /// The module that says it; empty where none is known.
    pub module: &'a [u8],
    /// The source file and the line of that; empty where they are not known.
    pub origin: (&'a [u8], u32),
    /// The process and thread that say it.
    pub writer: Writer,
    /// The virtual host, and the request or the client.
    pub context: Context<'a>,
}

/// Makes the line of a record, without its line end, of no more than `room` bytes, which is some thousands: the middle
/// of
/// a longer message is left out.
pub fn line(at: LocalTime, record: &Record<'_>, room: usize) -> String {
    let known = |bytes: &'_ [u8]| -> Option<String> { (!bytes.is_empty()).then(|| fit(bytes, NAME).0.into_owned()) };
    let request = record.context.request.as_ref();
    let name = |of: fn(&super::Request<'_>) -> Vec<u8>| request.and_then(|request| known(&of(request)));
    let (file, number) = record.origin;
    let mut fields = Fields {
        time: rfc3339(at),
        level: record.level.name(),
        stream: record.stream,
        logger: known(record.module).map(Cow::Owned),
        file: known(file).map(Cow::Owned),
        line: (number > 0 && !file.is_empty()).then_some(number),
        request_id: name(|r| r.id.to_vec()).map(Cow::Owned),
        method: name(|r| r.method.to_vec()).map(Cow::Owned),
        path: name(|r| r.path.to_vec()).map(Cow::Owned),
        client: name(|r| r.client.to_vec()).map(Cow::Owned),
        script: name(|r| r.script.to_vec()).map(Cow::Owned),
        vhost: record.context.vhost.and_then(known).map(Cow::Owned),
        process_group: None,
        application_group: None,
        pid: record.writer.pid,
        thread: record.writer.thread,
        message: Cow::default(),
        traceback: None,
        truncated: true,
    };
    let room = room.saturating_sub(render(&fields).len());
    let (message, is_whole) = fit(record.message, room);
    (fields.message, fields.truncated) = (message, !is_whole);
    let mut line = render(&fields);
    line.pop();
    line
}

/// Takes back what Apache does to a message before it writes it (`ap_escape_errorlog_item`).
pub fn unescaped(text: &[u8]) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let (value, length) = match (byte, text.get(at + 1)) {
            (b'\\', Some(b'b')) => (8, 2),
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b't')) => (b'\t', 2),
            (b'\\', Some(b'v')) => (11, 2),
            (b'\\', Some(b'\\')) => (b'\\', 2),
            (b'\\', Some(b'x')) => match (hex(text.get(at + 2)), hex(text.get(at + 3))) {
                (Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'?'), 4),
                _ => (byte, 1),
            },
            _ => (byte, 1),
        };
        bytes.push(value);
        at += length;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::json::Request;

    fn said(message: &[u8], request: Option<Request<'_>>, room: usize) -> (String, serde_json::Value) {
        let record = Record {
            level: Level::Error,
            message,
            stream: "apache",
            module: b"ssl",
            origin: (b"ssl_engine.c", 7),
            writer: Writer { pid: 12, thread: 13 },
            context: Context { vhost: Some(b"host"), request, ..Context::default() },
        };
        let line = line(LocalTime::at(Duration::from_secs(0), 0), &record, room);
        let value = serde_json::from_str(&line).unwrap();
        (line, value)
    }

    #[test]
    fn a_record_has_what_is_known_of_it() {
        let client = Request { client: b"::1", ..Request::default() };
        assert_eq!(
            said(b"a \"b\"", Some(client), 8190).0,
            concat!(
                r#"{"time":"1970-01-01T00:00:00.000000+00:00","level":"error","message":"a \"b\"","stream":"apache","#,
                r#""logger":"ssl","file":"ssl_engine.c","line":7,"client":"::1","vhost":"host","pid":12,"thread":13}"#
            )
        );
    }

    #[test]
    fn no_line_takes_more_room_than_there_is() {
        let long = vec![0xff; 9000];
        let request = Request { id: &long, method: &long, path: &long, client: &long, script: &long };
        for message in [&long[..], &vec![b'"'; 9000], &vec![b'\n'; 9000], "ä".repeat(4500).as_bytes(), b"short"] {
            for request in [None, Some(request)] {
                let (line, value) = said(message, request, 8190);
                assert!(line.len() <= 8190 && !line.contains('\n'), "{}", line.len());
                assert_eq!(value["truncated"] == true, message.len() > 10);
            }
        }
    }

    #[test]
    fn what_apache_has_escaped_is_as_it_was() {
        let escaped = br#"a\tb\nc\\n \x1b[0m\xc3\xa4 "q" \xzz \x"#;
        assert_eq!(unescaped(escaped), b"a\tb\nc\\n \x1b[0m\xc3\xa4 \"q\" \\xzz \\x");
        assert_eq!(unescaped(b"\\"), b"\\");
    }
}
