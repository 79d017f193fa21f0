//! Interned strings of one interpreter: the environ keys that travel as numbers, and every name that the engine looks
//! up for each request.

use pyo3::types::PyString;
use pyo3::{Bound, Python};
use wsgi_wire::names::KNOWN;

use crate::ffi::owned::Owned;

macro_rules! names {
    ($($field:ident = $text:literal,)*) => {
        /// Python strings that every request needs, made once for each interpreter.
        pub(crate) struct Names {
            known: Vec<Owned<PyString>>,
            $(#[doc = concat!("`", $text, "`")] pub(crate) $field: Owned<PyString>,)*
        }

        impl Names {
            /// Interns the strings in the attached interpreter.
            pub(crate) fn new(py: Python<'_>) -> Self {
                Self {
                    known: KNOWN.iter().map(|text| Owned::new(PyString::intern(py, text))).collect(),
                    $($field: Owned::new(PyString::intern(py, $text)),)*
                }
            }
        }
    };
}

names! {
    application = "application",
    close = "close",
    early_hints = "wsgi.early_hints",
    early_hints_method = "early_hints",
    start_response = "start_response",
    write = "write",
    errors = "wsgi.errors",
    input = "wsgi.input",
    url_scheme = "wsgi.url_scheme",
    request_start = "mod_wsgi.request_start",
    queue_start = "mod_wsgi.queue_start",
    daemon_start = "mod_wsgi.daemon_start",
    application_start = "mod_wsgi.application_start",
    thread_id = "mod_wsgi.thread_id",
    mtime = "__mtime__",
    reload_required = "reload_required",
}

impl Names {
    /// The environ keys that the engine itself fills in for each request.
    pub(crate) fn of_each_request<'a, 'py: 'a>(
        &'a self,
        py: Python<'py>,
    ) -> impl Iterator<Item = &'a Bound<'py, PyString>> {
        let clock = [&self.request_start, &self.queue_start, &self.daemon_start, &self.application_start];
        let others = [&self.early_hints, &self.input, &self.errors, &self.thread_id];
        clock.into_iter().chain(others).map(move |name| name.bind(py))
    }

    /// The environ key with this number (`wsgi_wire::names`).
    pub(crate) fn known<'a, 'py>(&'a self, py: Python<'py>, id: u8) -> Option<&'a Bound<'py, PyString>> {
        self.known.get(id as usize).map(|name| name.bind(py))
    }
}
