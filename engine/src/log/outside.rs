//! Text that threads write to `sys.stdout` and `sys.stderr` while they serve no request: it becomes records of the
//! process, line by line.

use std::cell::RefCell;

use pyo3::Python;
use wsgi_unix::fork;
use wsgi_wire::lines::{Lines, Text};
use wsgi_wire::record::{LogRecord, Stream};

use crate::log::record;

/// The unfinished line that a thread has written while it serves no request.
struct Outside {
    lines: Lines,
    stream: Stream,
    /// The application group of the interpreter that it was written in.
    application_group: Option<&'static [u8]>,
    /// Whether this process wrote it, and not the one that it was forked off.
    own: bool,
}

impl Outside {
    const EMPTY: Self = Self { lines: Lines::EMPTY, stream: Stream::Stderr, application_group: None, own: true };

    /// Does something with the lines, and returns the records of those that are complete.
    fn step(&mut self, step: impl FnOnce(&mut Lines, &mut dyn FnMut(Text<'_>))) -> Vec<LogRecord> {
        if self.own && !fork::is_ours() {
            (self.lines, self.own) = (Lines::EMPTY, false);
        }
        let (stream, mut records) = (self.stream, Vec::new());
        step(&mut self.lines, &mut |text| records.push(text.record(stream, record::writer())));
        records
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let group = self.application_group;
        self.step(Lines::end).into_iter().for_each(|record| record::write(record, group, None));
    }
}

thread_local! {
    static OUTSIDE: RefCell<Outside> = const { RefCell::new(Outside::EMPTY) };
}

/// Writes records of the lines that this text completes.
pub(crate) fn write(py: Python<'_>, stream: Stream, application_group: &'static [u8], text: &[u8]) {
    let records = OUTSIDE.with_borrow_mut(|outside| {
        outside.stream = stream;
        outside.application_group = Some(application_group);
        // Nobody knows when the thread writes again.
        outside.step(|lines, record| lines.write(text, false, record))
    });
    for record in records {
        record::write_attached(py, record, Some(application_group), None);
    }
}

/// Writes a record of the line that the calling thread has not completed, if there is one.
pub(crate) fn flush(py: Python<'_>, application_group: &[u8]) {
    for record in OUTSIDE.with_borrow_mut(|outside| outside.step(Lines::flush)) {
        record::write_attached(py, record, Some(application_group), None);
    }
}

/// Writes a record of what the calling thread, which ends here, has left of an unfinished line.
pub(crate) fn end() {
    let (records, group) = OUTSIDE.with_borrow_mut(|outside| (outside.step(Lines::end), outside.application_group));
    for record in records {
        record::write(record, group, None);
    }
}
