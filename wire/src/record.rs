//! Lines in Apache's error log format, for processes that have no `ap_log_error`: the supervisor and the daemons outside of requests.

use std::fmt::Write;

use crate::codec::byte_enum;

byte_enum! {
    /// Apache's log levels, with Apache's numbers (`http_log.h`).
    pub enum Level {
        /// `emerg`
        Emerg = 0,
        /// `alert`
        Alert = 1,
        /// `crit`
        Crit = 2,
        /// `error`
        Error = 3,
        /// `warn`
        Warn = 4,
        /// `notice`
        Notice = 5,
        /// `info`
        Info = 6,
        /// `debug`
        Debug = 7,
        /// `trace1`, and all below
        Trace = 8,
    }
}

impl Level {
    /// The word that Apache prints for it.
    pub fn name(self) -> &'static str {
        ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace1"][self as usize]
    }
}

/// A moment in local time, as `localtime_r` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The year, all digits.
    pub year: i32,
    /// 0 is January.
    pub month: u8,
    /// Day of the month from 1.
    pub day: u8,
    /// 0 is Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 60.
    pub second: u8,
    /// 0 to 999999.
    pub microsecond: u32,
}

/// One line with its line end, control characters escaped as Apache does, so that no text can forge a line of its own.
pub fn line(at: LocalTime, level: Level, pid: u32, text: &str) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut out = String::with_capacity(text.len() + 80);
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
        level.name(),
        pid,
    );
    escape(text, &mut out);
    out.push('\n');
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
    use super::*;

    #[test]
    fn a_line_looks_like_one_of_apache() {
        let at =
            LocalTime { year: 2026, month: 10, day: 2, weekday: 1, hour: 1, minute: 2, second: 3, microsecond: 45 };
        assert_eq!(
            line(at, Level::Info, 12, "hello"),
            "[Mon Nov 02 01:02:03.000045 2026] [wsgi:info] [pid 12] hello\n"
        );
    }

    #[test]
    fn no_text_can_forge_a_line_or_draw_on_a_terminal() {
        let mut out = String::new();
        escape("a\n[error] b\x1b[31m\\ \u{85} naïve", &mut out);
        assert_eq!(out, "a\\n[error] b\\x1b[31m\\\\ \\x85 naïve");
    }
}
