//! Apache's error log, under our own module index, so that `LogLevel wsgi:debug` works. Where `WSGILogFormat json` holds, records go into the same
//! file past Apache, which would put its own prefix before them.

use std::ffi::{CStr, CString, c_int};
use std::fmt;
use std::time::SystemTime;

use rustix::io::retry_on_intr;
use wsgi_wire::json::{self, Context};
use wsgi_wire::record::{Format, Level, LocalTime, LogRecord, Speaker};
use wsgi_wire::text;

use super::module;
use super::request::Request;
use super::server::Server;
use super::sys;
use crate::policy::record::shorten;

/// Where a request is executed.
#[derive(Debug, Clone, Copy)]
pub struct Place<'p> {
    /// The script.
    pub script: &'p [u8],
    /// The process group; empty is embedded mode.
    pub process_group: &'p [u8],
    /// The application group; empty is the main interpreter.
    pub application_group: &'p [u8],
}

/// A record of our own; see [`LogRecord::ours`].
pub fn ours(level: Level, text: &str) -> LogRecord {
    let thread = rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs();
    LogRecord::ours(level, Speaker { pid: std::process::id(), thread }, text)
}

/// Writes one record of our own about a request that has no place yet.
pub fn request(r: &Request<'_>, level: Level, text: fmt::Arguments<'_>) {
    if wanted(r, level) {
        record(r, &ours(level, &text.to_string()), None);
    }
}

/// Whether a record of this level about this request would be written: asked before the text is made.
pub fn wanted(r: &Request<'_>, level: Level) -> bool {
    // SAFETY: S1.
    unsafe { sys::wsgi_shim_request_logs(r.raw(), module::index(), level as c_int) != 0 }
}

/// Writes a record about a request, as its virtual host wants it.
pub fn record(r: &Request<'_>, record: &LogRecord, place: Option<Place<'_>>) {
    if !wanted(r, record.level) {
        return;
    }
    let script = place.map_or(r.filename(), |place| place.script);
    match format(r.server()) {
        Format::Text => {
            for text in text::texts(record) {
                request_text(r, record, &[b"[script ", script, b"] ", &text].concat());
            }
        }
        Format::Json => {
            let context = Context {
                vhost: r.server().hostname(),
                process_group: place.map(|place| place.process_group),
                application_group: place.map(|place| place.application_group),
                request: Some(json::Request {
                    id: r.id(),
                    method: r.method(),
                    path: r.uri(),
                    client: r.client_ip(),
                    script,
                }),
            };
            write(r.server(), record.level, &json::line(now(), record, &context));
        }
    }
}

/// One line by Apache, which escapes control characters itself and cuts at 8 KiB.
fn request_text(r: &Request<'_>, record: &LogRecord, text: &[u8]) {
    let text = c_text(&shorten(text));
    let origin = record.origin.as_ref().map(|origin| (c_text(&origin.file), c_int::try_from(origin.line).unwrap_or(0)));
    let (file, line) = origin.as_ref().map_or((c"mod_wsgi.c", 0), |(file, line)| (file, *line));
    // SAFETY: S1; the text is data, never a format.
    unsafe {
        sys::wsgi_shim_log_request(file.as_ptr(), line, module::index(), record.level as c_int, r.raw(), text.as_ptr());
    };
}

/// Writes one record about a server.
pub fn server(s: Server<'_>, level: Level, text: fmt::Arguments<'_>) {
    // SAFETY: S5.
    if unsafe { sys::wsgi_shim_server_logs(s.raw(), module::index(), level as c_int) == 0 } {
        return;
    }
    let text = text.to_string();
    match format(s) {
        Format::Text => {
            let text = c_text(text.as_bytes());
            // SAFETY: S5; the text is data, never a format.
            unsafe { sys::wsgi_shim_log_server(module::index(), level as c_int, s.raw(), text.as_ptr()) };
        }
        Format::Json => {
            let context = Context { vhost: s.hostname(), ..Context::default() };
            write(s, level, &json::line(now(), &ours(level, &text), &context));
        }
    }
}

/// Writes one record about the main server; where there is none yet, to standard error as httpd does.
pub fn main(level: Level, text: fmt::Arguments<'_>) {
    if let Some(s) = Server::main() {
        return server(s, level, text);
    }
    let text = c_text(text.to_string().as_bytes());
    // SAFETY: a null server means "no configuration yet" to httpd.
    unsafe { sys::wsgi_shim_log_server(module::index(), level as c_int, std::ptr::null(), text.as_ptr()) };
}

/// `WSGILogFormat` of a server.
pub fn format(s: Server<'_>) -> Format {
    s.settings().and_then(|settings| settings.log_format).unwrap_or(Format::Text)
}

/// Writes a line into the error log at one stroke, so that those of other processes do not come between.
fn write(s: Server<'_>, level: Level, line: &str) {
    match s.error_log() {
        // A full disk must not stop the service.
        Some(file) => drop(retry_on_intr(|| rustix::io::write(file, line.as_bytes()))),
        None => to_syslog(level, line),
    }
}

/// Apache has opened syslog with the facility and the tag of `ErrorLog`. Its own way there would escape every backslash and thus break JSON.
fn to_syslog(level: Level, line: &str) {
    let text = c_text(line.trim_end().as_bytes());
    const TEXT: &CStr = c"%s";
    // SAFETY: both are strings that end in NUL, and the format takes the other one. Apache's levels are those of syslog.
    unsafe { libc::syslog((level as c_int).min(libc::LOG_DEBUG), TEXT.as_ptr(), text.as_ptr()) };
}

/// The moment in local time.
fn now() -> LocalTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // SAFETY: a zeroed record is valid and filled by the call.
    let at = unsafe {
        let mut at: sys::apr_time_exp_t = std::mem::zeroed();
        sys::apr_time_exp_lt(&raw mut at, i64::try_from(since.as_micros()).unwrap_or(0));
        at
    };
    LocalTime {
        year: at.tm_year + 1900,
        month: at.tm_mon as u8,
        day: at.tm_mday as u8,
        weekday: at.tm_wday as u8,
        hour: at.tm_hour as u8,
        minute: at.tm_min as u8,
        second: at.tm_sec as u8,
        microsecond: since.subsec_micros(),
        offset: at.tm_gmtoff,
    }
}

/// Text for C; a NUL inside becomes visible instead of cutting the record.
fn c_text(text: &[u8]) -> CString {
    CString::new(text).unwrap_or_else(|_| {
        let visible: Vec<u8> = text.iter().map(|b| if *b == 0 { b'?' } else { *b }).collect();
        CString::new(visible).unwrap_or_default()
    })
}
