//! `%{begin}J%M%{end}J` in `ErrorLogFormat`: a record of Apache or of any module as a line of JSON. Apache itself can
//! write a message between quotes, but not as JSON has it.
//!
//! Apache calls the items of the format one after the other, each with the place behind what the ones before have
//! written into one buffer. The first remembers its place; when the last is called, the message is between the two, and
//! the line takes its place.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};

use wsgi_wire::json::apache::{Record, line, unescaped};
use wsgi_wire::json::{Context, Request};
use wsgi_wire::record::Writer;

use super::guard::{self, OnPanic};
use super::pool::Pool;
use super::sys::{self, ap_errorlog_info};
use super::{bytes, log, server};

/// The letter of the items.
const LETTER: &CStr = c"J";

/// The name of the stream.
const STREAM: &str = "apache";

/// What Apache writes behind the line, and the NUL there.
const END: usize = 2;

/// The longest text of an error of the system.
const REASON: usize = 256;

/// The record that this thread writes, and where its line begins.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Begun {
    info: *const ap_errorlog_info,
    place: *mut c_char,
}

thread_local! {
    /// What the first item has remembered.
    static BEGUN: Cell<Option<Begun>> = const { Cell::new(None) };
    /// Whether an item is at work: what it has to say itself is written as plain text.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// How many bytes an item has written; `None` after a panic.
struct Item(Option<usize>);

impl OnPanic for Item {
    fn on_panic() -> Self {
        Self(None)
    }
}

/// Tells Apache of the items. For `pre_config`, which comes before `ErrorLogFormat` is read.
pub fn register(pconf: Pool<'_>) {
    // SAFETY: the letter lives for ever, and Apache only reads it; it calls the function as it is declared, as long as
    // the configuration lives, and with it this module.
    unsafe { sys::ap_register_errorlog_handler(pconf.raw(), LETTER.as_ptr().cast_mut(), Some(item), 0) };
}

/// An item of the format. It always writes something: of a field that is empty Apache leaves out the rest, too.
unsafe extern "C" fn item(
    info: *const ap_errorlog_info,
    argument: *const c_char,
    place: *mut c_char,
    room: c_int,
) -> c_int {
    let room = usize::try_from(room).unwrap_or(0);
    if place.is_null() || room == 0 {
        return 0;
    }
    let written = if BUSY.replace(true) {
        None
    } else {
        let done = guard::enter("errorlog handler", || {
            // SAFETY: S6: a text, or null.
            let argument = unsafe { bytes(argument) };
            // SAFETY: Apache hands over a record that lives as long as the call, and a place with room for so much.
            Item(unsafe { write(info, argument, place, room) })
        });
        BUSY.set(false);
        done.0
    };
    let length = written.unwrap_or_else(|| {
        // SAFETY: there is room for a byte.
        unsafe { place.write(c_char::from_ne_bytes([b' '])) };
        1
    });
    c_int::try_from(length).unwrap_or(1)
}

/// Does the work of an item, and returns how many bytes it has added; `None` if it is not where it should be.
///
/// # Safety
/// `info` is a live record, and there is room for so many bytes at `place`.
unsafe fn write(
    info: *const ap_errorlog_info,
    argument: Option<&[u8]>,
    place: *mut c_char,
    room: usize,
) -> Option<usize> {
    if argument == Some(b"begin") {
        BEGUN.set(Some(Begun { info, place }));
        return None;
    }
    // A record of the same place in memory is one of the same function of Apache, whose buffer is where it was: even
    // of a format that has no end nothing but a line of this buffer becomes of it.
    let begun = BEGUN.take().filter(|begun| begun.info == info)?;
    let length = (place as usize).checked_sub(begun.place as usize).filter(|length| (1..LONGEST).contains(length))?;
    // SAFETY: what the items before have written, since the first.
    let written = unsafe { std::slice::from_raw_parts(begun.place.cast::<u8>(), length) };
    // The first has left a byte there.
    let message = unescaped(&written[1..]);
    // SAFETY: the caller's duty.
    let mut text = said(unsafe { &*info }, &message, (length + room).saturating_sub(END)).into_bytes();
    // What was escaped may have been longer, and something has to be added: spaces follow, which JSON allows.
    text.resize(text.len().max(length + 1), b' ');
    // SAFETY: the place has room for so many bytes: what is written there already, and the room behind.
    let target = unsafe { std::slice::from_raw_parts_mut(begun.place.cast::<u8>(), length + room) };
    target.get_mut(..text.len())?.copy_from_slice(&text);
    Some(text.len() - length)
}

/// How long a line of Apache's is at the most (`MAX_STRING_LEN`).
const LONGEST: usize = 8192;

/// The line of a record.
fn said(info: &ap_errorlog_info, message: &[u8], room: usize) -> String {
    // SAFETY: null, or the request of this thread, which lives as long as the call.
    let request = unsafe { info.r.as_ref() };
    // SAFETY: null, or the connection of this thread.
    let connection = unsafe { info.c.as_ref() };
    // SAFETY: null, or S5.
    let server = unsafe { info.s.as_ref() };
    // SAFETY: S6.
    let text = |raw: *const c_char| unsafe { bytes(raw) }.unwrap_or_default();
    let client = request.map(|r| text(r.useragent_ip)).or_else(|| connection.map(|c| text(c.client_ip)));
    let context = Context {
        vhost: server.map(|s| text(s.server_hostname)).filter(|name| !name.is_empty()),
        request: client.map(|client| Request {
            id: request.map(|r| text(r.log_id)).unwrap_or_default(),
            method: request.map(|r| text(r.method)).unwrap_or_default(),
            path: request.map(|r| text(r.uri)).unwrap_or_default(),
            client,
            script: request.map(|r| text(r.filename)).unwrap_or_default(),
        }),
        ..Context::default()
    };
    let message = [reason(info.status).as_bytes(), message].concat();
    let module = match info.module_index {
        ..0 => b"".as_slice(),
        // SAFETY: any number may be asked for; the name is a literal of that module.
        index => text(unsafe { sys::ap_find_module_short_name(index) }),
    };
    let file = text(info.file);
    let record = Record {
        level: server::level(info.level),
        message: &message,
        stream: STREAM,
        module,
        origin: (file.rsplit(|byte| *byte == b'/').next().unwrap_or(file), u32::try_from(info.line).unwrap_or(0)),
        writer: Writer { pid: std::process::id(), thread: wsgi_unix::thread_id() },
        context,
    };
    line(log::now(), &record, room)
}

/// What Apache puts before a message about an error of the system.
fn reason(status: c_int) -> String {
    if status == 0 {
        return String::new();
    }
    let mut text = [0; REASON];
    // SAFETY: there is room for so many bytes; APR ends the text with NUL.
    unsafe { sys::apr_strerror(status, text.as_mut_ptr(), text.len()) };
    // SAFETY: as above.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) };
    // APR's own numbers mean nothing to others.
    let number = if status < FIRST_OF_APR { format!("({status})") } else { String::new() };
    format!("{number}{}: ", text.to_string_lossy())
}

/// The first number that is APR's and not the system's (`APR_OS_START_ERROR`).
const FIRST_OF_APR: c_int = 20_000;
