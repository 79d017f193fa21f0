//! Records as text: the lines that they consist of, cut where they are too long for a log; and whole lines in the
//! format of Apache's error log, for the supervisor while no Apache child writes for it.

use std::borrow::Cow;
use std::fmt::Write;

use crate::limits;
use crate::record::{LocalTime, LogRecord, Stream};

/// Splits a record into the texts of the lines that it becomes. Each line of an application's message is one, up to
/// [`limits::LOG_LINES`] of them, and so is its traceback; a traceback that we report is in one with our message.
pub fn texts(record: &LogRecord) -> Vec<Cow<'_, [u8]>> {
    let traceback = record.traceback.as_deref().map(Cow::Borrowed);
    let message = record.message.splitn(limits::LOG_LINES, |b| *b == b'\n').map(Cow::Borrowed);
    match (record.stream, traceback) {
        (_, Some(traceback)) if record.message.is_empty() => vec![traceback],
        (Stream::Ours, Some(traceback)) => vec![[&record.message, &*traceback].join(&b'\n').into()],
        (_, traceback) => message.chain(traceback).collect(),
    }
}

/// Makes the record's lines, with their line ends, each with `prefix` before its text, and control characters escaped
/// as Apache does, so that no text can forge a line of its own.
pub fn lines(at: LocalTime, record: &LogRecord, prefix: &[u8]) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut out = String::with_capacity(record.message.len() + 80);
    for text in texts(record) {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "[{} {} {:02} {:02}:{:02}:{:02}.{:06} {}] [wsgi:{}] [pid {}] ",
            DAYS[at.weekday as usize % 7],
            MONTHS[at.month as usize % 12],
            at.day,
            at.hour,
            at.minute,
            at.second,
            at.microsecond,
            at.year,
            record.level.name(),
            record.writer.pid,
        );
        escape(&String::from_utf8_lossy(prefix), &mut out);
        escape(&String::from_utf8_lossy(&text), &mut out);
        out.push('\n');
    }
    out
}

/// Appends text with control characters and backslashes escaped.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::Topic;
    use crate::pieces::written;
    use crate::record::Writer;

    /// The second of November 2026, 01:02:03.000045, in UTC.
    fn at() -> LocalTime {
        LocalTime::at(Duration::new(1_793_581_323, 45_000), 0)
    }

    fn record(text: &str) -> LogRecord {
        LogRecord::ours(Topic::INFO, Writer { pid: 12, thread: 13 }, text)
    }

    #[test]
    fn a_line_looks_like_one_of_apache() {
        let line = "[Mon Nov 02 01:02:03.000045 2026] [wsgi:info] [pid 12] hello\n";
        assert_eq!(lines(at(), &record("hello"), b""), line);
    }

    #[test]
    fn each_line_is_a_record_and_a_traceback_one() {
        let two = LogRecord { message: "a\nb".into(), ..record("") };
        assert_eq!(texts(&two), [&b"a"[..], b"b"]);
        assert_eq!(texts(&record("failed\nTraceback\nE")), [&b"failed\nTraceback\nE"[..]]);
        assert_eq!(lines(at(), &record("failed\nTraceback\nE"), b"").lines().count(), 1);
        let logged = LogRecord { stream: Stream::Logging, ..record("failed\nTraceback\nE") };
        assert_eq!(texts(&logged), [&b"failed"[..], b"Traceback\nE"]);
        assert_eq!(texts(&record("\nTraceback\nE")), [&b"Traceback\nE"[..]]);
        assert_eq!(texts(&record("")), [&b""[..]]);
    }

    #[test]
    fn lines_beyond_the_bound_stay_together() {
        let many = LogRecord { message: "\n".repeat(10_000).as_str().into(), ..record("") };
        let texts = texts(&many);
        assert_eq!(texts.len(), limits::LOG_LINES);
        assert_eq!(texts.iter().map(|text| text.len() + 1).sum::<usize>(), 10_001);
    }

    #[test]
    fn no_text_takes_more_than_is_said() {
        for byte in 0..=u8::MAX {
            let text = [byte; 3];
            let mut escaped = String::new();
            escape(&String::from_utf8_lossy(&text), &mut escaped);
            let json = serde_json::to_string(&String::from_utf8_lossy(&text)).unwrap();
            assert!(escaped.len().max(json.len() - 2) <= written(&text), "{byte}");
        }
        assert_eq!(written("naïve \"\\\x1b\n".as_bytes()), 4 + 2 * 4 + 1 + 2 + 2 + 6 + 2);
    }

    #[test]
    fn no_text_can_forge_a_line_or_draw_on_a_terminal() {
        let mut out = String::new();
        escape("a\n[error] b\x1b[31m\\ \u{85} naïve", &mut out);
        assert_eq!(out, "a\\n[error] b\\x1b[31m\\\\ \\x85 naïve");
    }
}
