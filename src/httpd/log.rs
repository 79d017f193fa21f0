//! Apache's error log, under our own module index, so that `LogLevel wsgi:debug` works. Where `WSGILogFormat json`
//! holds, records go into the same file past Apache, which would put its own prefix before them.

use std::ffi::{CStr, CString, c_int};
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use wsgi_unix::clock;
use wsgi_wire::json::{self, Context};
use wsgi_wire::messages::Topic;
use wsgi_wire::pieces::written;
use wsgi_wire::record::{Format, Level, LocalTime, LogRecord};
use wsgi_wire::report::{GroupRecord, ProcessRecord};
use wsgi_wire::text;

use super::request::Request;
use super::server::Server;
use super::sys;
use super::{error_log, index};
use crate::policy::record::pieces;
pub use crate::relay::own_record::ours;

/// How long a line of Apache's is at the most (`MAX_STRING_LEN`).
const LINE: usize = 8192;

/// Where a request is executed.
#[derive(Debug, Clone, Copy)]
pub struct Execution<'p> {
    /// The path of the script.
    pub script: &'p [u8],
    /// The process group; empty is embedded mode.
    pub process_group: &'p [u8],
    /// The application group; empty is the main interpreter.
    pub application_group: &'p [u8],
}

/// Writes one record of our own about a request that has no place yet.
pub fn request(r: &Request<'_>, topic: impl Into<Topic>, text: fmt::Arguments<'_>) {
    let topic = topic.into();
    if wanted(r, topic.level()) {
        record(r, &ours(topic, &text.to_string()), None);
    }
}

/// Whether a record of this level about this request would be written: asked before the text is made.
pub fn wanted(r: &Request<'_>, level: Level) -> bool {
    // SAFETY: S1.
    unsafe { sys::wsgi_shim_request_logs(r.raw(), index::get(), level as c_int) != 0 }
}

/// Writes a record about a request, as its virtual host wants it.
pub fn record(r: &Request<'_>, record: &LogRecord, place: Option<Execution<'_>>) {
    if !wanted(r, record.level) {
        return;
    }
    let script = place.map_or(r.filename(), |place| place.script);
    match format(r.server()) {
        Format::Text => {
            let prefix = [b"[script ", script, b"] "].concat();
            let write = |file: &CStr, line, text: &CStr| {
                // SAFETY: S1; the text is data, never a format.
                unsafe {
                    sys::wsgi_shim_log_request(
                        file.as_ptr(),
                        line,
                        index::get(),
                        record.level as c_int,
                        r.raw(),
                        text.as_ptr(),
                    );
                }
            };
            write_texts(&prefix, record, write);
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
            json::lines(now(), record, &context).iter().for_each(|line| write(r.server(), record.level, line));
        }
    }
}

/// How many bytes of names stand in each line of a record about this request.
pub fn names(r: &Request<'_>, place: Execution<'_>) -> usize {
    let sent = |name: &CStr| r.headers_in().get(name).map_or(0, written);
    let Execution { script, process_group, application_group } = place;
    match format(r.server()) {
        // `ErrorLogFormat` may name any header.
        Format::Text if r.server().has_log_format() => {
            r.headers_in().iter().map(|(_, value)| written(value)).sum::<usize>().min(LINE)
        }
        Format::Text => (written(script) + sent(c"Referer")).min(LINE),
        Format::Json => {
            let names = [process_group, application_group, script, r.id(), r.method(), r.uri(), r.client_ip()];
            names.into_iter().map(written).sum()
        }
    }
}

/// The record's texts for Apache, which escapes control characters itself and would cut them at 8 KiB; each with the
/// place that it names in the code.
fn write_texts(prefix: &[u8], record: &LogRecord, write: impl Fn(&CStr, c_int, &CStr)) {
    let origin = record.origin.as_ref().map(|origin| (c_text(&origin.file), c_int::try_from(origin.line).unwrap_or(0)));
    let (file, line) = origin.as_ref().map_or((c"mod_wsgi.c", 0), |(file, line)| (file, *line));
    for text in text::texts(record) {
        for piece in pieces(prefix, &text) {
            write(file, line, &c_text(&piece));
        }
    }
}

/// Writes one record about a server.
pub fn server(s: Server<'_>, topic: impl Into<Topic>, text: fmt::Arguments<'_>) {
    let topic = topic.into();
    if logs(s, topic.level()) {
        about(s, &ours(topic, &text.to_string()), b"", &Context { vhost: s.hostname(), ..Context::default() });
    }
}

/// Writes a record of the supervisor, or of a process that it knows, into the log of the group's server.
pub fn group(s: Server<'_>, record: &GroupRecord) {
    let (said, level) = (&record.said, record.said.record.level);
    if !logs(s, level) {
        return;
    }
    let context = Context {
        vhost: s.hostname(),
        process_group: Some(&*record.group).filter(|group| !group.is_empty()),
        application_group: said.application_group.as_deref(),
        request: said.request.as_ref().map(|request| json::Request {
            id: &request.id,
            path: &request.path,
            script: &request.script,
            ..json::Request::default()
        }),
    };
    about(s, &said.record, &record.prefix(), &context);
}

/// Writes a record of the engine in this child that belongs to no request.
pub fn embedded(record: &ProcessRecord) {
    let Some(s) = Server::main().filter(|s| logs(*s, record.record.level)) else { return };
    let context = Context {
        vhost: s.hostname(),
        process_group: Some(b""),
        application_group: record.application_group.as_deref(),
        request: None,
    };
    about(s, &record.record, b"", &context);
}

/// Whether a server writes records of this level.
fn logs(s: Server<'_>, level: Level) -> bool {
    // SAFETY: S5.
    unsafe { sys::wsgi_shim_server_logs(s.raw(), index::get(), level as c_int) != 0 }
}

fn about(s: Server<'_>, record: &LogRecord, prefix: &[u8], context: &Context<'_>) {
    let write_text = |file: &CStr, line, text: &CStr| {
        // SAFETY: S5; the text is data, never a format.
        unsafe {
            sys::wsgi_shim_log_server(file.as_ptr(), line, index::get(), record.level as c_int, s.raw(), text.as_ptr());
        }
    };
    match format(s) {
        Format::Text => write_texts(prefix, record, write_text),
        Format::Json => json::lines(now(), record, context).iter().for_each(|line| write(s, record.level, line)),
    }
}

/// Writes one record about the main server; where there is none yet, to standard error as httpd does.
pub fn main(topic: impl Into<Topic>, text: fmt::Arguments<'_>) {
    let topic = topic.into();
    if let Some(s) = Server::main() {
        return server(s, topic, text);
    }
    let text = c_text(topic.titled(&text.to_string()).as_bytes());
    // SAFETY: a null server means "no configuration yet" to httpd.
    unsafe {
        sys::wsgi_shim_log_server(
            c"mod_wsgi.c".as_ptr(),
            0,
            index::get(),
            topic.level() as c_int,
            std::ptr::null(),
            text.as_ptr(),
        );
    }
}

/// A function that tells the form of a server's records.
type FormatOf = fn(Server<'_>) -> Format;

static FORMAT_OF: OnceLock<FormatOf> = OnceLock::new();

/// Sets the function that knows `WSGILogFormat` of a server. Until then records are text.
pub fn install(format_of: FormatOf) {
    // The library is loaded anew, with all its statics, when httpd reads its configuration again.
    let _ = FORMAT_OF.set(format_of);
}

/// `WSGILogFormat` of a server.
pub fn format(s: Server<'_>) -> Format {
    FORMAT_OF.get().map_or(Format::Text, |format_of| format_of(s))
}

/// Held while a line is written: a pipe that is full takes a long one in pieces, and this child's others must not come
/// between.
static WRITING: Mutex<()> = Mutex::new(());

/// [`WRITING`], unless that takes too long: with the MPM prefork a child ends in a signal handler, which may have
/// interrupted whoever holds it. In a process that an application has forked off, whoever holds it may not exist, and
/// there is only one thread.
fn turn() -> Option<MutexGuard<'static, ()>> {
    if !wsgi_unix::fork::is_ours() {
        return None;
    }
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        match WRITING.try_lock() {
            Ok(turn) => return Some(turn),
            Err(TryLockError::Poisoned(turn)) => return Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(100)),
        }
    }
}

/// Writes a line into the error log at one stroke, so that those of other processes do not come between.
fn write(s: Server<'_>, level: Level, line: &str) {
    let _turn = turn();
    if !error_log::write(s, line) {
        error_log::to_syslog(level, &c_text(line.trim_end().as_bytes()));
    }
}

/// The moment in local time.
pub(super) fn now() -> LocalTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    LocalTime::at(since, clock::utc_offset(since))
}

/// Text for C; a NUL inside becomes visible instead of cutting the record.
fn c_text(text: &[u8]) -> CString {
    CString::new(text).unwrap_or_else(|_| {
        let visible: Vec<u8> = text.iter().map(|b| if *b == 0 { b'?' } else { *b }).collect();
        CString::new(visible).unwrap_or_default()
    })
}
