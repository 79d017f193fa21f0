//! Reports for mod_wsgi-telemetry, if `WSGITelemetryService` names its socket: what requests cost, which ones are slow,
//! when the process begins and ends.
//!
//! Nobody waits for the socket: what it does not take at once is lost, and the next report tells more. Knows the
//! process and its interpreters' names. Must not know connections, nor who asks for reports.

pub(crate) mod datagram;
pub(crate) mod figures;
#[cfg_attr(windows, path = "windows/service.rs")]
mod service;
pub(crate) mod slow;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::UNIX_EPOCH;

use pyo3::types::PyAnyMethods;
use pyo3::{PyResult, Python};

use self::datagram::{Datagram, Kind};
use self::service::Service;
use crate::moments::now;
use crate::process::Process;

/// The longest text of a field, bytes.
const TEXT: usize = 256;

static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();

/// The reports of this process.
pub(crate) struct Telemetry {
    process: &'static Process,
    service: Service,
    python: String,
    module: String,
    switch_interval: f64,
    sequence: AtomicU32,
    /// The reason with which the process has reported that it is going to end, and whether it has sent its last report.
    end: Mutex<(Option<String>, bool)>,
}

/// The reports of this process, if anybody wants them.
pub(crate) fn telemetry() -> Option<&'static Telemetry> {
    TELEMETRY.get()
}

/// Prepares to report, if the configuration names a service; attached to the main interpreter.
///
/// # Errors
/// If there is no socket, or what CPython raises.
pub(crate) fn prepare(py: Python<'_>, process: &'static Process) -> PyResult<Option<&'static Telemetry>> {
    let Some(settings) = &process.settings.telemetry else { return Ok(None) };
    let service = Service::at(&settings.socket)?;
    let python: String = py.import("platform")?.call_method0("python_version")?.extract()?;
    let version: (u32, u32, u32) = py.import("mod_wsgi")?.getattr("version")?.extract()?;
    let switch_interval = py.import("sys")?.call_method0("getswitchinterval")?.extract()?;
    Ok(Some(TELEMETRY.get_or_init(|| Telemetry {
        process,
        service,
        python,
        module: format!("{}.{}.{}", version.0, version.1, version.2),
        switch_interval,
        sequence: AtomicU32::new(0),
        end: Mutex::default(),
    })))
}

impl Telemetry {
    fn datagram(&self, kind: Kind, stamp: f64) -> Datagram {
        // Numbers begin with 1.
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        Datagram::new(kind, std::process::id(), sequence, stamp)
    }

    /// Sends a datagram, unless the process has sent its last.
    fn send(&self, datagram: &Datagram) {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if !end.1 && wsgi_unix::fork::is_ours() {
            self.service.send(datagram.bytes());
        }
    }

    /// Adds the fields that say which process of which group reports.
    fn put_place(&self, datagram: &mut Datagram) {
        datagram.text(5, self.service.host(), TEXT);
        let group = &self.process.settings.group;
        if !group.is_empty() {
            datagram.text(6, group, TEXT);
        }
    }

    /// Adds the fields that do not change as long as the process runs.
    fn put_identity(&self, datagram: &mut Datagram) {
        let server = &self.process.settings.server;
        let (major, (minor, patch)) = server.version;
        datagram.text(1, self.module.as_bytes(), TEXT);
        datagram.text(2, self.python.as_bytes(), TEXT);
        datagram.text(3, format!("Apache/{major}.{minor}.{patch}").as_bytes(), TEXT);
        datagram.text(4, server.mpm.as_bytes(), TEXT);
        self.put_place(datagram);
        // The supervisor is an affair of ours; a server's processes belong together.
        datagram.count(7, self.process.settings.apache.into());
        datagram.number(13, self.switch_interval);
    }

    /// Reports that the process serves.
    pub(crate) fn started(&self) {
        let stamp = self.process.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let mut datagram = self.datagram(Kind::Started, stamp);
        self.put_identity(&mut datagram);
        self.send(&datagram);
    }

    /// Reports that the process is going to end, once.
    pub(crate) fn stopping(&self, reason: &str) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if end.0.replace(reason.to_owned()).is_some() {
            return;
        }
        drop(end);
        let mut datagram = self.datagram(Kind::Stopping, now());
        self.put_place(&mut datagram);
        datagram.text(130, reason.as_bytes(), TEXT);
        datagram.count(133, self.process.metrics.active.load(Ordering::Relaxed).into());
        self.send(&datagram);
    }

    /// Reports that the process ends, once, and nothing from then on. `graceful`: not by force.
    pub(crate) fn stopped(&self, graceful: bool) {
        let reason = self.end.lock().unwrap_or_else(PoisonError::into_inner).0.clone().unwrap_or_default();
        let mut datagram = self.datagram(Kind::Stopped, now());
        self.put_place(&mut datagram);
        datagram.text(130, reason.as_bytes(), TEXT);
        datagram.number(131, self.process.started.elapsed().unwrap_or_default().as_secs_f64());
        datagram.count(132, self.process.metrics.finished.load(Ordering::Relaxed));
        datagram.count(134, self.process.metrics.active.load(Ordering::Relaxed).into());
        datagram.count(135, graceful.into());
        self.send(&datagram);
        self.end.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
    }

    /// Reports the state of an interpreter's garbage collector, and the passes that it has made. `name`: the
    /// application group, if there are others.
    pub(crate) fn collector(&self, name: Option<&[u8]>, state: &[u64], passes: &[(f64, f64, u64, u64, u64)]) {
        let mut datagram = self.datagram(Kind::Collector, now());
        for (id, value) in (300..).zip(state) {
            datagram.count(id, *value);
        }
        self.put_interpreter(&mut datagram, name);
        self.send(&datagram);
        for (start, duration, generation, collected, uncollectable) in passes {
            let mut datagram = self.datagram(Kind::Collection, now());
            datagram.number(320, *start);
            datagram.number(321, *duration);
            for (id, value) in (322..).zip([generation, collected, uncollectable]) {
                datagram.count(id, *value);
            }
            self.put_interpreter(&mut datagram, name);
            self.send(&datagram);
        }
    }

    fn put_interpreter(&self, datagram: &mut Datagram, name: Option<&[u8]>) {
        if let Some(name) = name {
            datagram.text(8, name, TEXT);
        }
    }
}
