//! The dicts that `mod_wsgi.request_metrics()` and `mod_wsgi.process_metrics()` give.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pyo3::types::{PyDict, PyList, PyListMethods};
use pyo3::{Bound, IntoPyObject, PyAny, PyResult, Python};
use wsgi_unix::usage;

use crate::metrics::figures::Figures;
use crate::metrics::interval::PHASES;
use crate::metrics::phase::BUCKETS;
use crate::moments::now;
use crate::process::Process;

fn seconds(durations: impl Iterator<Item = Duration>) -> Vec<f64> {
    durations.map(|d| d.as_secs_f64()).collect()
}

/// What happened since the last call; `None` before recording began, and where `WSGITelemetryService` is told instead.
///
/// # Errors
/// What CPython raises.
pub(crate) fn request_metrics<'py>(py: Python<'py>, process: &Process) -> PyResult<Bound<'py, PyAny>> {
    if process.settings.telemetry.is_some() {
        return Ok(py.None().into_bound(py));
    }
    let Some(interval) = process.metrics.drain(py) else { return Ok(py.None().into_bound(py)) };
    let report = PyDict::new(py);
    let set = Report(&report);
    let figures = Figures::new(&interval, &process.metrics);
    let period = figures.period;
    set.put("pid", std::process::id())?;
    set.put("start_time", interval.start_time)?;
    set.put("stop_time", interval.start_time + period)?;
    set.put("sample_period", period)?;
    let (user, system) = (figures.cpu_user, figures.cpu_system);
    for (name, share) in [("cpu_user", user), ("cpu_system", system), ("cpu", user + system)] {
        set.put(&format!("{name}_utilization"), share)?;
        set.put(&format!("{name}_time"), share)?;
    }
    set.put("memory_rss", figures.memory)?;
    set.put("memory_max_rss", figures.max_memory)?;
    set.put("request_threads_maximum", interval.workers.len())?;
    set.put("request_threads_started", figures.started)?;
    set.put("request_threads_active", figures.active)?;
    set.put("capacity_utilization", figures.capacity)?;
    set.put("request_count", interval.count)?;
    set.put("request_throughput", interval.count as f64 / period)?;
    for (class, count) in (1..).zip(interval.classes) {
        set.put(&format!("status_{class}xx"), count)?;
    }
    for (name, sum) in ["input_bytes", "input_reads", "output_bytes", "output_writes"].into_iter().zip(interval.moved) {
        set.put(name, sum)?;
    }
    set.put("gil_wait_count", interval.gil_waits)?;
    for (name, phase) in PHASES.iter().zip(&interval.phases) {
        let (min, max) = phase.extremes();
        // Requests of an Apache child itself have no such phases.
        let absent = process.is_embedded() && matches!(*name, "queue" | "daemon");
        let (min, max) = if absent { (None, None) } else { (min, max) };
        set.put(&format!("{name}_time"), (!absent).then(|| phase.mean()))?;
        set.put(&format!("{name}_time_min_us"), min)?;
        set.put(&format!("{name}_time_max_us"), max)?;
        let buckets = if absent { vec![0; BUCKETS] } else { phase.buckets.to_vec() };
        set.put(&format!("{name}_time_buckets"), buckets)?;
    }
    let completed: Vec<u64> = interval.workers.iter().map(|w| w.completed).collect();
    set.put("request_threads_buckets", completed.clone())?;
    set.put("request_threads_completed", completed)?;
    set.put("request_threads_busy_time", seconds(interval.workers.iter().map(|w| w.busy)))?;
    set.put("request_threads_cpu_time", seconds(interval.workers.iter().map(|w| w.cpu)))?;
    set.put("request_threads_current_elapsed", figures.elapsed)?;
    set.put("request_threads_max_duration", seconds(interval.workers.iter().map(|w| w.longest)))?;
    Ok(report.into_any())
}

/// What the process has done since it began; `None` before recording began, and where `WSGITelemetryService` is told
/// instead.
///
/// # Errors
/// What CPython raises.
pub(crate) fn process_metrics<'py>(py: Python<'py>, process: &Process) -> PyResult<Bound<'py, PyAny>> {
    if !process.metrics.is_recording() || process.settings.telemetry.is_some() {
        return Ok(py.None().into_bound(py));
    }
    let report = PyDict::new(py);
    let set = Report(&report);
    let totals = process.metrics.totals();
    let (user, system) = usage::process_cpu();
    let began = process.started.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    set.put("pid", std::process::id())?;
    set.put("request_count", process.metrics.finished.load(Ordering::Relaxed))?;
    set.put("request_busy_time", totals.iter().map(|t| t.busy.as_secs_f64()).sum::<f64>())?;
    set.put("memory_rss", usage::memory())?;
    set.put("memory_max_rss", usage::max_memory())?;
    set.put("cpu_user_time", user.as_secs_f64())?;
    set.put("cpu_system_time", system.as_secs_f64())?;
    set.put("cpu_time", (user + system).as_secs_f64())?;
    set.put("restart_time", began)?;
    set.put("current_time", now())?;
    set.put("running_time", (now() - began) as u64)?;
    set.put("request_threads", totals.len())?;
    set.put("active_requests", process.metrics.active.load(Ordering::Relaxed))?;
    let threads = PyList::empty(py);
    for (number, total) in (1..).zip(&totals).filter(|(_, total)| total.requests > 0) {
        let thread = PyDict::new(py);
        Report(&thread).put("thread_id", number)?;
        Report(&thread).put("request_count", total.requests)?;
        threads.append(thread)?;
    }
    set.put("threads", threads)?;
    Ok(report.into_any())
}

/// A dict with text keys while it is filled.
pub(super) struct Report<'a, 'py>(pub(super) &'a Bound<'py, PyDict>);

impl<'py> Report<'_, 'py> {
    pub(super) fn put(&self, name: &str, value: impl IntoPyObject<'py>) -> PyResult<()> {
        pyo3::types::PyDictMethods::set_item(self.0, name, value)
    }
}
