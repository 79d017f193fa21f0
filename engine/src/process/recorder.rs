//! The notes of the process about itself for the record of its end: what it is doing, always, and where its threads are
//! when it ends otherwise than it should. The supervisor writes the record ([`wsgi_wire::recorder`]).

use std::os::fd::{AsRawFd, OwnedFd};

use pyo3::types::{PyAnyMethods, PyDict, PyDictMethods};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_unix::thread_id;
use wsgi_wire::control::Reason;
use wsgi_wire::recorder::{Activity, Entry, Header, STACKS_SIGNAL, Task, list, report_offset};

use crate::ffi::{object, recorder as ffi};
use crate::moments::now;

/// The flight recorder; without one, in embedded mode, nothing is noted.
#[derive(Default)]
pub(crate) struct Recorder(Option<Tape>);

/// The mapped file of a flight recorder.
struct Tape {
    file: OwnedFd,
    header: &'static Header,
    entries: &'static [Entry],
}

impl Recorder {
    /// Opens the recorder in this file.
    ///
    /// # Errors
    /// If the file is not a recorder for so many workers.
    pub(crate) fn open(file: OwnedFd, threads: u32) -> std::io::Result<Self> {
        let (header, entries) = ffi::map(&file, threads)?;
        // Whoever writes into the file, writes here.
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(report_offset(threads) as u64))?;
        Ok(Self(Some(Tape { file, header, entries })))
    }

    /// Makes Python write its stacks into the report: on signals that end the process, and on ours. Called in the main
    /// interpreter.
    ///
    /// # Errors
    /// If Python has no `faulthandler`.
    pub(crate) fn arm(&self, py: Python<'_>) -> PyResult<()> {
        let Some(tape) = &self.0 else { return Ok(()) };
        let (faulthandler, file) = (py.import("faulthandler")?, tape.file.as_raw_fd());
        faulthandler.call_method1("enable", (file,))?;
        let all = PyDict::new(py);
        all.set_item("all_threads", true)?;
        faulthandler.call_method("register", (STACKS_SIGNAL, file), Some(&all))?;
        Ok(())
    }

    /// The entry of a worker, counted from 1. Called by the worker itself.
    pub(crate) fn worker(&self, number: u32) -> Option<&'static Entry> {
        let entry = self.0.as_ref()?.entries.get(number as usize)?;
        ffi::own_signal_stack();
        entry.set_thread(object::thread_ident(), thread_id());
        Some(entry)
    }

    /// Notes that the process itself, on this thread, does something until the end of `body`.
    pub(crate) fn during<R>(&self, what: &str, body: impl FnOnce() -> R) -> R {
        self.begins(what);
        let result = body();
        if let Some(entry) = self.own() {
            entry.end();
        }
        result
    }

    /// Notes that the process itself, on this thread, begins to do something.
    pub(crate) fn begins(&self, what: &str) {
        if let Some(entry) = self.own() {
            entry.set_thread(object::thread_ident(), thread_id());
            entry.begin(&Task { since: now(), interpreter: 0, id: b"", method: b"", what: what.as_bytes() });
        }
    }

    /// A sentence about what a worker is doing.
    pub(crate) fn describe(&self, number: u32) -> String {
        let entry = self.0.as_ref().and_then(|tape| tape.entries.get(number as usize));
        let activity = entry.and_then(|entry| entry.activity(number as usize));
        activity.map_or_else(String::new, |activity| format!("It has been executing {}.", activity.describe(now())))
    }

    fn own(&self) -> Option<&'static Entry> {
        self.0.as_ref()?.entries.first()
    }

    /// A function that writes the stacks of the attached interpreter's threads into the report; nothing without a
    /// report.
    ///
    /// # Errors
    /// If Python has no `faulthandler`.
    pub(crate) fn dump_function<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(tape) = &self.0 else { return Ok(None) };
        let dump = py.import("faulthandler")?.getattr("dump_traceback")?;
        py.import("functools")?.call_method1("partial", (dump, tape.file.as_raw_fd())).map(Some)
    }

    /// Writes into the report why the process is going to end and what it is doing. Returns whether there is a report,
    /// and no reason was noted before, so that stacks are worth being written.
    pub(crate) fn ends_for(&self, reason: Reason) -> bool {
        let Some(tape) = self.0.as_ref().filter(|tape| tape.header.ends_for(reason)) else { return false };
        // A report that is full has enough in it.
        let _ = rustix::io::write(&tape.file, list(&self.activities(), now()).as_bytes());
        true
    }

    /// Notes that the process is going to end itself by force. Returns whether there is a report, and no reason was
    /// noted before.
    pub(crate) fn ends_by_force(&self) -> bool {
        self.0.as_ref().is_some_and(|tape| tape.header.ends_by_force())
    }

    /// The activities of the process and its workers.
    pub(crate) fn activities(&self) -> Vec<Activity> {
        let entries = self.0.iter().flat_map(|tape| tape.entries).enumerate();
        entries.filter_map(|(number, entry)| entry.activity(number)).collect()
    }
}
