//! The parts of a record of the error log. [`crate::text`] and [`crate::json`] make lines of it.

use std::time::Duration;

use crate::codec::{Bytes, byte_enum, message};
use crate::pieces::written;
use crate::{limits, pieces};

byte_enum! {
    /// Apache's log levels, with Apache's numbers (`http_log.h`).
    #[derive(Default)]
    pub enum Level {
        /// The level `emerg`.
        Emerg = 0,
        /// The level `alert`.
        Alert = 1,
        /// The level `crit`.
        Crit = 2,
        /// The level `error`.
        Error = 3,
        /// The level `warn`.
        Warn = 4,
        /// The level `notice`.
        Notice = 5,
        /// The level `info`.
        #[default]
        Info = 6,
        /// The level `debug`.
        Debug = 7,
        /// The level `trace1`, and all below it.
        Trace = 8,
    }
}

impl Level {
    /// The word that Apache prints for the level.
    pub fn name(self) -> &'static str {
        ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace1"][self as usize]
    }
}

/// A moment in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The year, all digits.
    pub year: i32,
    /// The month; 0 is January.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
    /// The day of the week; 0 is Sunday.
    pub weekday: u8,
    /// The hour, 0 to 23.
    pub hour: u8,
    /// The minute, 0 to 59.
    pub minute: u8,
    /// The second, 0 to 60.
    pub second: u8,
    /// The microsecond, 0 to 999999.
    pub microsecond: u32,
    /// The offset of the clocks, seconds east of UTC.
    pub offset: i32,
}

impl LocalTime {
    /// The local time at a moment, where clocks are this many seconds ahead of UTC.
    #[must_use]
    pub fn at(since_epoch: Duration, offset: i32) -> Self {
        let seconds = since_epoch.as_secs() as i64 + i64::from(offset);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Counted from the first of March of the year 0, so that the day that some years have more is their last.
        // The calendar repeats itself after 400 years, which have 146,097 days.
        let (cycle, day) = ((days + 719_468).div_euclid(146_097), (days + 719_468).rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // From March on, five months have 153 days.
        let month = (5 * day + 2) / 153;
        Self {
            year: (cycle * 400 + year + i64::from(month >= 10)) as i32,
            month: ((month + 2) % 12) as u8,
            day: (day - (153 * month + 2) / 5 + 1) as u8,
            weekday: (days + 4).rem_euclid(7) as u8,
            hour: (second / 3_600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
            microsecond: since_epoch.subsec_micros(),
            offset,
        }
    }
}

byte_enum! {
    /// The form in which a virtual host wants our records (`WSGILogFormat`).
    #[derive(Default)]
    pub enum Format {
        /// The form of Apache's own records.
        #[default]
        Text = 0,
        /// Each record is a line of JSON.
        Json = 1,
    }
}

impl Format {
    /// The word of `WSGILogFormat` for it.
    pub fn name(self) -> &'static str {
        ["text", "json"][self as usize]
    }
}

byte_enum! {
    /// The source of a record.
    pub enum Stream {
        /// The record is one of our own.
        Ours = 0,
        /// The application wrote to `sys.stdout`.
        Stdout = 1,
        /// The application wrote to `sys.stderr`.
        Stderr = 2,
        /// The application wrote to `wsgi.errors`.
        Errors = 3,
        /// The application logged through `mod_wsgi.LogHandler`.
        Logging = 4,
    }
}

impl Stream {
    /// The name of the source in a record.
    pub fn name(self) -> &'static str {
        ["mod_wsgi", "stdout", "stderr", "wsgi.errors", "logging"][self as usize]
    }
}

message! {
    /// The process and thread that write a record.
    #[derive(Copy)]
    pub struct Writer {
        /// The id of the process.
        pub pid: u32,
        /// The number that the system gives to the thread.
        pub thread: u32,
    }
}

message! {
    /// The origin of a `logging.LogRecord`.
    pub struct Origin {
        /// The logger's name.
        pub logger: Bytes,
        /// The source file.
        pub file: Bytes,
        /// The line in the source file.
        pub line: u32,
    }
}

message! {
    /// One record of the error log.
    pub struct LogRecord {
        /// The level of the record.
        pub level: Level,
        /// The source of the record.
        pub stream: Stream,
        /// The process and thread that wrote the record.
        pub writer: Writer,
        /// The message: UTF-8 where it is ours, anything where it is the application's. Empty if the traceback says it
        /// all.
        pub message: Bytes,
        /// A traceback or the stacks of threads: lines that belong together.
        pub traceback: Option<Bytes>,
        /// The origin that the application's logger knows.
        pub origin: Option<Origin>,
    }
}

/// How many bytes of a text stand in one line of a log at least, where it is cut into several.
const PIECE: usize = 1800;

impl LogRecord {
    /// How many bytes its texts have.
    pub fn length(&self) -> usize {
        self.message.len() + self.traceback.as_ref().map_or(0, |text| text.len())
    }

    /// How many bytes of log it takes at the most. `names`: the bytes in each line besides the usual
    /// ([`limits::LOG_PREFIX`]) and its origin.
    pub fn cost(&self, names: usize) -> usize {
        // Without a message of its own, the last line of its traceback stands in its place as JSON.
        let text = written(self.headline()) + self.traceback.as_deref().map_or(0, written);
        let origin = self.origin.as_ref().map_or(0, |origin| written(&origin.logger) + written(&origin.file));
        let lines = self.message.iter().filter(|b| **b == b'\n').take(limits::LOG_LINES).count() + 1;
        text + (lines + text / PIECE) * (limits::LOG_PREFIX + origin + names)
    }

    /// Cuts the record into as many as are needed for none to be too long to travel, the later ones marked as
    /// continued; names that are too long for any log are cut.
    pub fn into_pieces(mut self) -> Vec<Self> {
        if let Some(origin) = &mut self.origin {
            origin.logger.0.truncate(limits::JSON_NAME);
            origin.file.0.truncate(limits::JSON_NAME);
        }
        if self.length() <= limits::LOG_RECORD {
            return vec![self];
        }
        let cut = |bytes: &[u8]| -> Vec<Vec<u8>> {
            pieces::pieces(bytes, limits::LOG_RECORD, |_| 1).into_iter().map(<[u8]>::to_vec).collect()
        };
        let messages = if self.message.is_empty() { Vec::new() } else { cut(&self.message) };
        let tracebacks = self.traceback.as_deref().map(cut).unwrap_or_default();
        let (first_traceback, count) = (messages.len(), messages.len() + tracebacks.len());
        let piece = |(at, text): (usize, Vec<u8>)| {
            let mark = pieces::continued(at, count);
            let (message, traceback) = match at < first_traceback {
                true => ([mark.as_bytes(), &text].concat(), None),
                false => (mark.trim_end_matches([':', ' ']).into(), Some(Bytes(text))),
            };
            Self { message: Bytes(message), traceback, ..self.clone_without_texts() }
        };
        messages.into_iter().chain(tracebacks).enumerate().map(piece).collect()
    }

    fn clone_without_texts(&self) -> Self {
        let (message, traceback) = (Bytes::default(), None);
        Self { message, traceback, origin: self.origin.clone(), ..*self }
    }

    /// Corrects a record that a process of a group has sent: the process is the one that is known to be at the other
    /// end, and no application may use a level that makes syslog write to all terminals.
    pub fn of_process(mut self, pid: u32, is_thread: impl FnOnce(u32) -> bool) -> Self {
        let thread = if is_thread(self.writer.thread) { self.writer.thread } else { pid };
        self.writer = Writer { pid, thread };
        self.level = self.level.max(Level::Crit);
        self
    }

    /// The headline: the message, or, where the traceback says it all, its last line, which names the exception.
    pub fn headline(&self) -> &[u8] {
        let Some(traceback) = self.traceback.as_deref().filter(|_| self.message.is_empty()) else {
            return &self.message;
        };
        traceback.rsplit(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_follows_the_other() {
        let is_leap = |year: i32| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let (mut year, mut month, mut day) = (1970, 0, 1);
        for days in 0..150_000u32 {
            let at = LocalTime::at(Duration::from_secs(u64::from(days) * 86_400), 0);
            assert_eq!((at.year, at.month, at.day, at.weekday), (year, month, day, ((days + 4) % 7) as u8), "{days}");
            let february = if is_leap(year) { 29 } else { 28 };
            day += 1;
            if day > [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][usize::from(month)] {
                (month, day) = ((month + 1) % 12, 1);
                year += i32::from(month == 0);
            }
        }
    }

    #[test]
    fn the_offset_is_part_of_the_time() {
        let at = LocalTime::at(Duration::new(3_723, 45_999), -3_724);
        let LocalTime { year, month, day, weekday, hour, minute, second, microsecond, offset } = at;
        assert_eq!((year, month, day, weekday), (1969, 11, 31, 3));
        assert_eq!((hour, minute, second, microsecond, offset), (23, 59, 59, 45, -3_724));
    }

    use crate::codec::Wire;
    use crate::message::Topic;

    const NOBODY: Writer = Writer { pid: 1, thread: 2 };

    #[test]
    fn a_text_of_ours_begins_with_the_message() {
        let record = LogRecord::ours(Topic::INFO, NOBODY, "it failed:\nTraceback\n  x\nE: y");
        assert_eq!(
            (&record.message[..], record.traceback.as_deref()),
            (&b"it failed:"[..], Some(&b"Traceback\n  x\nE: y"[..]))
        );
        assert_eq!(LogRecord::ours(Topic::INFO, NOBODY, "all is well").traceback, None);
        assert_eq!(LogRecord::from_bytes(&record.to_bytes()), Ok(record));
    }

    #[test]
    fn what_is_too_long_travels_in_pieces_and_nothing_is_lost() {
        let message = "line\n".repeat(limits::LOG_RECORD / 3);
        let traceback = "na\u{ef}ve ".repeat(limits::LOG_RECORD / 5);
        let record = LogRecord {
            message: message.as_str().into(),
            traceback: Some(traceback.as_str().into()),
            ..LogRecord::ours(Topic::INFO, NOBODY, "")
        };
        let pieces = record.into_pieces();
        assert!(pieces.len() > 3 && pieces.iter().all(|piece| piece.length() <= limits::LOG_RECORD));
        let (mut said, mut trace) = (String::new(), String::new());
        for (at, piece) in pieces.iter().enumerate() {
            let text = std::str::from_utf8(&piece.message).unwrap();
            let mark = pieces::continued(at, pieces.len());
            match &piece.traceback {
                Some(text) => trace += std::str::from_utf8(text).unwrap(),
                None => said += text.strip_prefix(&mark).unwrap(),
            }
            assert!(at == 0 || text.starts_with("... continued "), "{text:.40}");
        }
        assert_eq!((said, trace), (message, traceback));
    }

    #[test]
    fn a_process_cannot_say_that_it_is_another() {
        let record = LogRecord { level: Level::Emerg, ..LogRecord::ours(Topic::INFO, NOBODY, "text") };
        let believed = record.clone().of_process(12, |thread| thread == 2);
        assert_eq!((believed.writer, believed.level), (Writer { pid: 12, thread: 2 }, Level::Crit));
        assert_eq!(record.of_process(12, |_| false).writer, Writer { pid: 12, thread: 12 });
    }

    #[test]
    fn the_cost_of_a_mere_traceback_is_that_of_its_headline_too() {
        let traceback = "Traceback (most recent call last):\n  x\nKeyError: ".to_owned() + &"\u{17}".repeat(400);
        let text = LogRecord {
            message: "".into(),
            traceback: Some(traceback.as_str().into()),
            ..LogRecord::ours(Topic::INFO, NOBODY, "")
        };
        let at = LocalTime::at(Duration::ZERO, 0);
        let lines = crate::json::lines(at, &text, &crate::json::Context::default());
        assert!(lines.iter().map(String::len).sum::<usize>() <= text.cost(0));
    }

    #[test]
    fn the_headline_of_a_mere_traceback_is_its_exception() {
        let mut record =
            LogRecord::ours(Topic::INFO, NOBODY, "\nTraceback (most recent call last):\n  x\nKeyError: 1\n");
        assert_eq!(record.headline(), b"KeyError: 1");
        record.message = "known".into();
        assert_eq!(record.headline(), b"known");
    }
}
