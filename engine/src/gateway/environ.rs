//! The WSGI environ: a copy of the route's template, and what varies.

use pyo3::types::{PyDict, PyDictMethods, PyString};
use pyo3::{Bound, PyResult, Python};
use wsgi_wire::names::{self, Ids, Name};
use wsgi_wire::request::Vars;

use crate::api::module;
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::gateway::file_wrapper::FileWrapper;
use crate::interpreter::Interpreter;
use crate::moments::Moments;
use crate::process::Process;
use crate::request::route::{Route, Template};

/// The keys that the engine alone sets, whatever `SetEnv` says, with what each of them means.
pub(super) const RESERVED: &[(&str, &str)] = &[
    ("wsgi.version", "`(1, 0)`"),
    ("wsgi.multithread", "whether other threads may call the application at the same time"),
    ("wsgi.multiprocess", "whether other processes may"),
    ("wsgi.run_once", "whether the process ends after this request"),
    ("wsgi.url_scheme", "`http` or `https`, as the client has used it"),
    ("wsgi.errors", "a text stream into the error log"),
    ("wsgi.input", "the request's body, a stream of bytes"),
    ("wsgi.input_terminated", "`True`: `read()` ends where the body ends"),
    ("wsgi.file_wrapper", "a class; Apache sends the file where it can"),
    ("wsgi.early_hints", "a function that sends `103 Early Hints` with these headers"),
    ("apache.version", "of Apache, three numbers"),
    ("mod_wsgi.version", "of the mod_wsgi whose interface this is, three numbers"),
    ("mod_wsgi.request_start", "when Apache had the request, seconds since the epoch"),
    ("mod_wsgi.queue_start", "when it was given to the process; 0 in embedded mode"),
    ("mod_wsgi.daemon_start", "when a thread of the process had it; 0 in embedded mode"),
    ("mod_wsgi.application_start", "when the application was called"),
    ("mod_wsgi.thread_id", "the number of the thread within its process"),
];

/// Whether a name that is written out may not come from Apache. `PATH` would be the server's own search path.
fn is_reserved(name: &[u8]) -> bool {
    let dotted = name.starts_with(b"wsgi.") || name.starts_with(b"mod_wsgi.") || name.starts_with(b"apache.");
    name == b"PATH"
        || (dotted && (RESERVED.iter().any(|(key, _)| key.as_bytes() == name) || name.starts_with(b"mod_wsgi.x-")))
}

/// Whether a value of the variable `HTTPS` means that the client used it.
fn means_https(value: &[u8]) -> bool {
    value == b"1" || value.eq_ignore_ascii_case(b"on")
}

/// The facts that the variables tell beside being entries of the environ.
#[derive(Default)]
struct FromVars {
    https: Option<bool>,
    /// The entries that the variables have made, those with written-out names aside.
    entries: Ids,
}

fn add_vars(
    py: Python<'_>,
    interpreter: &Interpreter,
    environ: &Bound<'_, PyDict>,
    vars: Vars<'_>,
) -> PyResult<FromVars> {
    let (mut from_vars, mut spelled) = (FromVars::default(), interpreter.names.spelled());
    for var in vars {
        // The decoder has checked all of them before.
        let Ok((name, value)) = var else { break };
        match name {
            Name::Known(names::HTTPS) => from_vars.https = Some(means_https(value)),
            Name::Known(id @ (names::DOCUMENT_ROOT | names::SCRIPT_FILENAME)) => {
                if let Some(key) = interpreter.names.known(py, id) {
                    environ.set_item(key, object::path(py, value).or_else(|_| object::latin1(py, value))?)?;
                    from_vars.entries.add(id);
                }
            }
            Name::Known(id) => {
                if let Some(key) = interpreter.names.known(py, id) {
                    environ.set_item(key, object::latin1(py, value)?)?;
                    from_vars.entries.add(id);
                }
            }
            Name::Text(text) if is_reserved(text) => {}
            Name::Text(text) => environ.set_item(spelled.key(py, text)?, object::latin1(py, value)?)?,
        }
    }
    Ok(from_vars)
}

/// Makes the template that the environs of a route are copied from. `first`: the variables of a request, such as others
/// will have.
fn template(py: Python<'_>, interpreter: &Interpreter, route: &Route, first: Vars<'_>) -> PyResult<Template> {
    let (environ, fixed) = constant(py, interpreter, route.vars()?)?;
    let mut optional = Ids::default();
    for (name, _) in first.flatten() {
        match name {
            // It becomes no entry.
            Name::Known(names::HTTPS) | Name::Text(_) => {}
            Name::Known(id) => optional.add(id),
        }
    }
    let (optional, names) = (optional.without(fixed), &interpreter.names);
    let known = optional.iter().filter_map(|id| names.known(py, id));
    for key in known.chain(names.of_each_request(py)) {
        environ.set_item(key, py.None())?;
    }
    Ok(Template { environ: Owned::new(environ), optional })
}

/// Makes the constant part of a route's environs, and says which variables are in it.
fn constant<'py>(py: Python<'py>, interpreter: &Interpreter, vars: Vars<'_>) -> PyResult<(Bound<'py, PyDict>, Ids)> {
    let settings = &Process::get().settings;
    let environ = PyDict::new(py);
    let from_vars = add_vars(py, interpreter, &environ, vars)?;
    environ.set_item("wsgi.version", (1, 0))?;
    environ.set_item("wsgi.multithread", settings.threads != 1)?;
    environ.set_item("wsgi.multiprocess", settings.multiprocess)?;
    environ.set_item("wsgi.run_once", settings.threads == 1 && settings.maximum_requests == 1)?;
    environ.set_item(interpreter.names.url_scheme.bind(py), scheme(py, from_vars.https == Some(true)))?;
    environ.set_item("wsgi.input_terminated", true)?;
    environ.set_item("wsgi.file_wrapper", interpreter.classes.class::<FileWrapper>(py)?)?;
    environ.set_item("apache.version", module::apache_version(settings))?;
    environ.set_item("mod_wsgi.version", module::VERSION)?;
    Ok((environ, from_vars.entries))
}

fn scheme<'py>(py: Python<'py>, https: bool) -> Bound<'py, PyString> {
    PyString::intern(py, if https { "https" } else { "http" })
}

/// Makes the environ of one request, without its streams and the moment when the application is called.
///
/// # Errors
/// What CPython raises.
pub(crate) fn build<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    route: &Route,
    vars: Vars<'_>,
    moments: &Moments,
    thread: u32,
) -> PyResult<Bound<'py, PyDict>> {
    let template = match route.template.get() {
        Some(template) => template,
        None => {
            let template = template(py, interpreter, route, vars.clone())?;
            route.template.get_or_init(|| template)
        }
    };
    let environ = template.environ.bind(py).copy()?;
    let from_vars = add_vars(py, interpreter, &environ, vars)?;
    let names = &interpreter.names;
    for key in template.optional.without(from_vars.entries).iter().filter_map(|id| names.known(py, id)) {
        environ.del_item(key)?;
    }
    if let Some(https) = from_vars.https {
        environ.set_item(names.url_scheme.bind(py), scheme(py, https))?;
    }
    environ.set_item(names.request_start.bind(py), moments.request_start)?;
    environ.set_item(names.queue_start.bind(py), moments.queue_start)?;
    environ.set_item(names.daemon_start.bind(py), moments.daemon_start)?;
    environ.set_item(names.thread_id.bind(py), thread)?;
    Ok(environ)
}

/// Makes the environ of a question, without the entries that belong to this question alone. Says, too, whether the
/// client's connection is encrypted.
///
/// # Errors
/// What CPython raises.
pub(crate) fn of_question<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    route: &Route,
    vars: Vars<'_>,
) -> PyResult<(Bound<'py, PyDict>, bool)> {
    let environ = PyDict::new(py);
    add_vars(py, interpreter, &environ, route.vars()?)?;
    let from_vars = add_vars(py, interpreter, &environ, vars)?;
    environ.set_item("apache.version", module::apache_version(&Process::get().settings))?;
    environ.set_item("mod_wsgi.version", module::VERSION)?;
    Ok((environ, from_vars.https == Some(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apache_may_not_set() {
        for name in ["wsgi.input", "wsgi.version", "mod_wsgi.version", "mod_wsgi.x-magic", "PATH"] {
            assert!(is_reserved(name.as_bytes()), "{name}");
        }
        for name in ["wsgi.custom", "HTTP_PATH", "mod_wsgi.other", "PATH_INFO"] {
            assert!(!is_reserved(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_means_https() {
        assert!(["On", "on", "1"].iter().all(|v| means_https(v.as_bytes())));
        assert!(!["Off", "0", "", "yes"].iter().any(|v| means_https(v.as_bytes())));
    }
}
