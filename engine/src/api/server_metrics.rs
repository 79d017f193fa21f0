//! The dict that `mod_wsgi.server_metrics()` gives.

use pyo3::types::{PyDict, PyList, PyListMethods};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_wire::scoreboard::{Process as ApacheProcess, Worker};

use super::metrics::Report;
use crate::ffi::{attach, object};
use crate::process::Process;

/// Apache's scoreboard; `None` where the configuration does not allow it, or Apache has none.
///
/// # Errors
/// What CPython raises.
pub(crate) fn server_metrics<'py>(py: Python<'py>, process: &Process) -> PyResult<Bound<'py, PyAny>> {
    let found = process.scoreboard.is_allowed().then(|| attach::detach(py, || process.scoreboard.read())).flatten();
    let Some(found) = found else { return Ok(py.None().into_bound(py)) };
    let report = PyDict::new(py);
    let set = Report(&report);
    set.put("server_limit", found.server_limit)?;
    set.put("thread_limit", found.thread_limit)?;
    set.put("running_generation", found.running_generation)?;
    set.put("restart_time", found.restart_time)?;
    set.put("current_time", found.current_time)?;
    set.put("running_time", (found.current_time - found.restart_time) as u64)?;
    let processes = PyList::empty(py);
    for (number, process) in found.processes.iter().enumerate() {
        processes.append(of_process(py, number, process)?)?;
    }
    set.put("processes", processes)?;
    Ok(report.into_any())
}

fn of_process<'py>(py: Python<'py>, number: usize, process: &ApacheProcess) -> PyResult<Bound<'py, PyDict>> {
    let report = PyDict::new(py);
    let set = Report(&report);
    set.put("process_num", number)?;
    set.put("pid", process.pid)?;
    set.put("generation", process.generation)?;
    set.put("quiescing", process.quiescing)?;
    let workers = PyList::empty(py);
    for worker in &process.workers {
        workers.append(of_worker(py, worker)?)?;
    }
    set.put("workers", workers)?;
    Ok(report)
}

fn of_worker<'py>(py: Python<'py>, worker: &Worker) -> PyResult<Bound<'py, PyDict>> {
    let report = PyDict::new(py);
    let set = Report(&report);
    set.put("thread_num", worker.thread_num)?;
    set.put("generation", worker.generation)?;
    set.put("status", object::latin1(py, &[worker.status])?)?;
    set.put("access_count", worker.access_count)?;
    set.put("bytes_served", worker.bytes_served)?;
    set.put("start_time", worker.start_time)?;
    set.put("stop_time", worker.stop_time)?;
    set.put("last_used", worker.last_used)?;
    set.put("client", object::latin1(py, &worker.client)?)?;
    set.put("request", object::latin1(py, &worker.request)?)?;
    set.put("vhost", object::latin1(py, &worker.vhost)?)?;
    Ok(report)
}
