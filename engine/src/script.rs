//! Script files: loading them as modules, noticing that they have changed, finding the application in them.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::sync::MutexExt;
use pyo3::types::{PyAnyMethods, PyBytes, PyDict, PyModule, PyModuleMethods, PyString};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_wire::record::Level;

use crate::cure;
use crate::events;
use crate::failure;
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::interpreter::Interpreter;
use crate::process::Process;
use crate::record;

/// The scripts of one interpreter.
#[derive(Default)]
pub(crate) struct Scripts {
    by_path: Mutex<HashMap<Vec<u8>, Arc<Script>>>,
}

/// One script. Its lock is held while it is loaded, so that other requests for it wait, and only those.
#[derive(Default)]
pub(crate) struct Script {
    module: Mutex<Option<Owned<PyModule>>>,
}

/// Why there is no application to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// The file is not what this process has loaded: another process must answer.
    Changed,
    /// It cannot be loaded, or the application is not in it. The log says why.
    Failed,
}

impl Scripts {
    /// The script with this path, loaded or not.
    pub(crate) fn get(&self, path: &[u8]) -> Arc<Script> {
        // Locked only for a moment, and nothing of Python is touched.
        let mut scripts = self.by_path.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(script) = scripts.get(path) {
            return Arc::clone(script);
        }
        Arc::clone(scripts.entry(path.to_vec()).or_default())
    }
}

/// What a request needs of a script.
pub(crate) struct Wanted<'a> {
    /// The file.
    pub(crate) path: &'a [u8],
    /// The name of the application; empty if the script only has to be loaded.
    pub(crate) callable: &'a [u8],
    /// Whether a change of the file counts.
    pub(crate) reloading: bool,
    /// The file's modification time in microseconds if Apache knows it, else 0.
    pub(crate) mtime: i64,
}

/// The application that a request wants, loading the script if need be.
pub(crate) fn application<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    wanted: &Wanted<'_>,
) -> Result<Bound<'py, PyAny>, Unavailable> {
    let script = interpreter.scripts.get(wanted.path);
    let mut module = script.module.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = module.as_ref().map(|loaded| loaded.get(py)).filter(|_| wanted.reloading) {
        // What follows may run Python code, which must not find the script locked.
        drop(module);
        let stale = is_stale(py, interpreter, &loaded, wanted);
        if stale && !Process::get().is_embedded() {
            return Err(Unavailable::Changed);
        }
        module = script.module.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
        // Another thread may have loaded it anew in between.
        if stale && module.as_ref().is_some_and(|now| now.bind(py).is(&loaded)) {
            *module = None;
        }
    }
    let loaded = match module.as_ref() {
        Some(loaded) => loaded.get(py),
        None => match load(py, interpreter, wanted.path) {
            Ok(fresh) => {
                *module = Some(Owned::new(fresh.clone()));
                fresh
            }
            Err(report) => {
                drop(module);
                events::log(py, Level::Error, &report);
                if let Some(advice) = cure::advice(interpreter, wanted.path, &report) {
                    events::log(py, Level::Error, &advice);
                }
                return Err(Unavailable::Failed);
            }
        },
    };
    if wanted.callable.is_empty() {
        return Ok(loaded.into_any());
    }
    find(py, &loaded, wanted.callable).ok_or_else(|| {
        let (path, name) = (String::from_utf8_lossy(wanted.path), String::from_utf8_lossy(wanted.callable));
        events::log(py, Level::Error, &format!("The WSGI script '{path}' does not contain the application '{name}'."));
        Unavailable::Failed
    })
}

fn find<'py>(py: Python<'py>, module: &Bound<'py, PyModule>, name: &[u8]) -> Option<Bound<'py, PyAny>> {
    let name = object::latin1(py, name).ok()?;
    object::dict_get(&module.dict(), &name).ok()?
}

fn load<'py>(py: Python<'py>, interpreter: &Interpreter, path: &[u8]) -> Result<Bound<'py, PyModule>, String> {
    let shown = String::from_utf8_lossy(path);
    let place = format!("{} {}", interpreter.label(), Process::get().place());
    record::process(Level::Info, &format!("Loading WSGI script '{shown}' into {place}."));
    // Taken before the file is read: if it changes meanwhile, the next request notices.
    let mtime = modified(path).unwrap_or(0);
    let source = std::fs::read(Path::new(std::ffi::OsStr::from_bytes(path)))
        .map_err(|error| format!("The WSGI script '{shown}' cannot be read: {error}."))?;
    execute(py, interpreter, path, &source, mtime).map_err(|error| {
        format!("The WSGI script '{shown}' cannot be loaded into {place}:\n{}", failure::describe(py, &error))
    })
}

fn execute<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    path: &[u8],
    source: &[u8],
    mtime: i64,
) -> PyResult<Bound<'py, PyModule>> {
    let text = source.split(|b| *b == 0).next().unwrap_or_default();
    let file = object::path(py, path)?;
    let name = PyString::new(py, &module_name(path, Process::get().settings.case_sensitive));
    let code = py.import("builtins")?.call_method1("compile", (PyBytes::new(py, text), &file, "exec", 0, true))?;
    let module = object::execute_module(&name, &code, &file)?;
    module.add(interpreter.names.mtime.bind(py), mtime)?;
    Ok(module)
}

/// The name under which a script stands in `sys.modules`.
fn module_name(path: &[u8], case_sensitive: bool) -> String {
    let digest = if case_sensitive { md5::compute(path) } else { md5::compute(path.to_ascii_lowercase()) };
    format!("_mod_wsgi_{digest:x}")
}

/// Modification time in microseconds.
fn modified(path: &[u8]) -> Option<i64> {
    let meta = std::fs::metadata(Path::new(std::ffi::OsStr::from_bytes(path))).ok()?;
    Some(meta.mtime() * 1_000_000 + meta.mtime_nsec() / 1000)
}

/// Whether the module is not what the file says now.
fn is_stale(py: Python<'_>, interpreter: &Interpreter, module: &Bound<'_, PyModule>, wanted: &Wanted<'_>) -> bool {
    let dict = module.dict();
    let loaded = object::dict_get(&dict, interpreter.names.mtime.bind(py)).ok().flatten();
    let loaded: Option<i64> = loaded.and_then(|mtime| mtime.extract().ok());
    let unchanged = loaded.is_some_and(|mtime| {
        // Apache's knowledge may be older than this process, so only what we see ourselves proves a change.
        (wanted.mtime != 0 && wanted.mtime == mtime) || modified(wanted.path) == Some(mtime)
    });
    !unchanged || reload_required(py, interpreter, &dict, wanted.path)
}

fn reload_required(py: Python<'_>, interpreter: &Interpreter, module: &Bound<'_, PyDict>, path: &[u8]) -> bool {
    let Ok(Some(function)) = object::dict_get(module, interpreter.names.reload_required.bind(py)) else { return false };
    let answer = object::path(py, path).and_then(|path| function.call1((path,))?.is_truthy());
    answer.unwrap_or_else(|error| {
        let text = failure::describe(py, &error);
        events::log(py, Level::Error, &format!("Exception in reload_required():\n{text}"));
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_by_its_path() {
        assert_eq!(module_name(b"/srv/app.py", true), "_mod_wsgi_837ec650bdabe0efb38dfa24a2d27527");
        assert_eq!(module_name(b"/SRV/App.py", false), module_name(b"/srv/app.py", true));
    }
}
