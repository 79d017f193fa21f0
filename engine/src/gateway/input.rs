//! The stream `wsgi.input`.

use std::sync::Arc;

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::types::{PyAnyMethods, PyBytes, PyList, PyListMethods};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_unix::kept_memory::Kept;

use crate::ffi::arguments::Args;
use crate::ffi::class::{Class, Definition};
use crate::ffi::instance::This;
use crate::request::body::Body;
use crate::request::{self, Request};

/// The request body as a stream. Costs nothing until it is read.
pub(crate) struct Input {
    /// The request whose body this reads.
    pub(crate) request: Arc<Request>,
}

impl Class for Input {
    const NAME: &'static std::ffi::CStr = c"mod_wsgi.Input";
    const DOC: &'static std::ffi::CStr = c"The body of a request.";

    fn define(class: &mut Definition<Self>) {
        class
            .method(c"read", read)
            .method(c"readline", read_line)
            .method(c"readlines", read_lines)
            .method(c"close", close)
            .iterator(next);
    }
}

/// Parses a size argument: negative or left out means "everything".
fn size(this: &This<'_, '_, Input>, args: Args<'_, '_>, function: &str) -> PyResult<Option<usize>> {
    this.alive(function)?;
    args.count(function, 0, 1)?;
    let Some(size) = args.get(0) else { return Ok(None) };
    Ok(usize::try_from(size.extract::<isize>()?).ok())
}

impl This<'_, '_, Input> {
    fn alive(&self, method: &str) -> PyResult<()> {
        self.request.with(self.py(), |_| ()).ok_or_else(|| PyRuntimeError::new_err(called(method)))
    }
}

impl Input {
    /// Runs a read until it has what it needs, asking for more of the body in between.
    fn take(&self, py: Python<'_>, over: &str, step: impl Fn(&mut Body) -> Result<Vec<u8>, u32>) -> PyResult<Vec<u8>> {
        let over = || PyRuntimeError::new_err(over.to_owned());
        let failed =
            |why: &dyn std::fmt::Display| PyOSError::new_err(format!("mod_wsgi request data read error: {why}"));
        loop {
            let outcome = self.request.with(py, |live| {
                if live.body.failed {
                    return Err(failed(&"input is already in error state"));
                }
                Ok(step(&mut live.body).inspect(|data| {
                    live.counts.input_reads += 1;
                    live.counts.input_length += data.len() as u64;
                }))
            });
            let max = match outcome.ok_or_else(over)?? {
                Ok(data) => return Ok(data),
                Err(max) => max,
            };
            self.request.blocking(py, |live| live.pull(max)).ok_or_else(over)?.map_err(|error| failed(&error))?;
        }
    }
}

fn called(method: &str) -> String {
    format!("{method}() called on wsgi.input {}", request::no_more())
}

fn read<'py>(this: This<'_, 'py, Input>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let size = size(&this, args, "read")?;
    if size == Some(0) && this.request.with(this.py(), |live| live.body.is_untouched()) == Some(true) {
        // Nothing is read, but a client that waits for `100 Continue` may begin to send. If it is gone, the read below
        // says so.
        let _ = this.request.blocking(this.py(), |live| live.pull(0));
    }
    let data = Kept::from(this.take(this.py(), &called("read"), |body| body.read(size))?);
    Ok(PyBytes::new(this.py(), &data).into_any())
}

fn read_line<'py>(this: This<'_, 'py, Input>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let limit = size(&this, args, "readline")?;
    let line = this.take(this.py(), &called("readline"), |body| body.read_line(limit))?;
    Ok(PyBytes::new(this.py(), &line).into_any())
}

fn read_lines<'py>(this: This<'_, 'py, Input>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    let hint = size(&this, args, "readlines")?.filter(|n| *n > 0).unwrap_or(usize::MAX);
    let (lines, mut total) = (PyList::empty(this.py()), 0);
    while total < hint {
        let line = this.take(this.py(), &called("readlines"), |body| body.read_line(None))?;
        if line.is_empty() {
            break;
        }
        total += line.len();
        lines.append(PyBytes::new(this.py(), &line))?;
    }
    Ok(lines.into_any())
}

fn close<'py>(this: This<'_, 'py, Input>, args: Args<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    this.alive("close")?;
    args.none("Input.close")?;
    Ok(this.py().None().into_bound(this.py()))
}

fn next<'py>(this: This<'_, 'py, Input>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let over = "iteration of wsgi.input attempted after request completed";
    let line = this.take(this.py(), over, |body| body.read_line(None))?;
    Ok((!line.is_empty()).then(|| PyBytes::new(this.py(), &line).into_any()))
}
