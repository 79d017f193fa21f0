//! Exceptions as text for the log.

use pyo3::types::{PyAnyMethods, PyTypeMethods};
use pyo3::{Bound, PyAny, PyErr, PyResult, Python};

/// The whole traceback of an exception, frames included, without a line end behind it. Never fails: what cannot be
/// printed is named by its class. (pyo3 could print the frames then, but with strings that all interpreters would
/// share.)
pub(crate) fn describe(py: Python<'_>, error: &PyErr) -> String {
    let text = formatted(py, error).unwrap_or_else(|_| {
        let class = error.get_type(py).name().map_or_else(|_| "exception".to_owned(), |name| name.to_string());
        format!("{class}: <its text cannot be had>")
    });
    text.trim_end().to_owned()
}

fn formatted(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let arguments = (error.get_type(py), error.value(py), error.traceback(py));
    let lines: Bound<'_, PyAny> = py.import("traceback")?.call_method1("format_exception", arguments)?;
    // Lone surrogates cannot be UTF-8; everything else stays as it is.
    let text = pyo3::types::PyString::new(py, "").call_method1("join", (lines,))?;
    text.call_method1("encode", ("utf-8", "backslashreplace"))?.call_method1("decode", ("utf-8",))?.extract()
}
