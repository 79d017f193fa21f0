//! Script files: loading them as modules, noticing that they have changed, finding the application in them.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::sync::MutexExt;
use pyo3::types::{PyAnyMethods, PyBytes, PyBytesMethods, PyDict, PyModule, PyModuleMethods, PyString, PyTuple};
use pyo3::{Bound, PyAny, PyResult, Python};
use wsgi_unix::native;
use wsgi_wire::codec::Bytes;
use wsgi_wire::messages::{Message, Topic, applications};
use wsgi_wire::settings::Preload;

use crate::api::events;
use crate::ffi::object;
use crate::ffi::owned::Owned;
use crate::interpreter::Interpreter;
use crate::interpreter::advice;
use crate::interpreter::scripts::Script;
use crate::log::record;
use crate::log::traceback;
use crate::process::Process;
use crate::process::forked;
use crate::process::reload;

/// Why there is no application to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ScriptError {
    /// The file is not what this process has loaded: another process must answer.
    Changed,
    /// It cannot be loaded, or the application is not in it.
    Failed(Report),
}

/// Why a script gives no application, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    message: &'static Message,
    /// The text of the record.
    pub(crate) text: String,
}

impl Report {
    /// A report of this message.
    pub(crate) fn new(message: &'static Message, text: String) -> Self {
        Self { message, text }
    }
}

/// What a request needs of a script.
pub(crate) struct ScriptNeed<'a> {
    /// The script itself, loaded or not.
    pub(crate) script: &'a Script,
    /// The path of its file.
    pub(crate) path: &'a [u8],
    /// The name of the application; empty if the script only has to be loaded.
    pub(crate) callable: &'a [u8],
    /// Whether the script is loaded anew when its file has changed.
    pub(crate) reloading: bool,
    /// Whether this process itself loads a changed script again, whatever kind of process it is: nobody waits for
    /// another process.
    pub(crate) in_place: bool,
    /// The file's modification time in microseconds if Apache knows it, else 0.
    pub(crate) mtime: i64,
    /// Finds the file that the request is for: another one if the script is a handler.
    pub(crate) resource: &'a dyn Fn() -> Option<&'a [u8]>,
}

/// Returns the application that a request needs, and loads the script if need be.
pub(crate) fn application<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    need: &ScriptNeed<'_>,
) -> Result<Bound<'py, PyAny>, ScriptError> {
    let script = need.script;
    if !script.wanted.load(Ordering::Relaxed) {
        is_wanted(script, interpreter, need);
    }
    // What looks at the file may run Python code, which must not find the script locked.
    let loaded = script.module.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner).as_ref().map(|m| m.get(py));
    let newer = match &loaded {
        Some(module) if need.reloading => newer(py, interpreter, script, module, need),
        _ => None,
    };
    let is_old = match newer {
        None => false,
        Some(_) if need.in_place || Process::get().is_embedded() => true,
        Some(version) if Process::get().may_serve(&script.asked, version) => false,
        Some(_) => return Err(ScriptError::Changed),
    };
    let module = match loaded {
        Some(module) if !is_old => module,
        old => load_once(py, interpreter, need, old.as_ref()).map_err(ScriptError::Failed)?,
    };
    find(py, interpreter, &module, need.path, need.callable).map_err(ScriptError::Failed)
}

/// Loads a script, in place of the old module if there is one, unless another thread has done that by now.
fn load_once<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    need: &ScriptNeed<'_>,
    old: Option<&Bound<'py, PyModule>>,
) -> Result<Bound<'py, PyModule>, Report> {
    let mut module = need.script.module.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
    match module.take() {
        Some(now) if old.is_none_or(|old| !now.bind(py).is(old)) => Ok(module.insert(now).get(py)),
        _ => Ok(module.insert(Owned::new(load(py, interpreter, need.path)?)).get(py)),
    }
}

/// Logs why there is no application, and the cure, where it is known.
pub(crate) fn log_failure(py: Python<'_>, interpreter: &Interpreter, path: &[u8], report: &Report) {
    events::log(py, report.message, &report.text);
    if let Some((message, text)) = advice::advice(interpreter, path, &report.text) {
        events::log(py, message, &text);
    }
}

/// Loads a script before the first request comes.
///
/// # Errors
/// The report for the log, if it cannot be loaded or the application is not in it.
pub(crate) fn import(py: Python<'_>, interpreter: &Interpreter, preload: &Preload) -> Result<(), Report> {
    let script = interpreter.scripts.get(&preload.script);
    let mut module = script.module.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
    let loaded = match module.as_ref() {
        Some(loaded) => loaded.get(py),
        None => {
            let fresh = load(py, interpreter, &preload.script)?;
            script.early.store(true, Ordering::Relaxed);
            *module = Some(Owned::new(fresh.clone()));
            fresh
        }
    };
    drop(module);
    find(py, interpreter, &loaded, &preload.script, &preload.callable).map(drop)
}

/// The application of a script that is loaded.
pub(crate) fn loaded<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    path: &[u8],
    callable: &[u8],
) -> Option<Bound<'py, PyAny>> {
    let script = interpreter.scripts.get(path);
    let module = script.module.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner);
    let loaded = module.as_ref()?.get(py);
    drop(module);
    find(py, interpreter, &loaded, path, callable).ok()
}

/// Notes that the first request for a script has come.
fn is_wanted(script: &Script, interpreter: &Interpreter, need: &ScriptNeed<'_>) {
    if !script.wanted.swap(true, Ordering::Relaxed) {
        Process::get().lifecycle.has_loaded(Preload {
            script: Bytes::from(need.path),
            application_group: Bytes::from(interpreter.application_group()),
            callable: Bytes::from(need.callable),
        });
    }
}

/// Finds the application in a script; the module itself where there is no name.
fn find<'py>(
    py: Python<'py>,
    interpreter: &Interpreter,
    module: &Bound<'py, PyModule>,
    path: &[u8],
    name: &[u8],
) -> Result<Bound<'py, PyAny>, Report> {
    if name.is_empty() {
        return Ok(module.clone().into_any());
    }
    let dict = module.dict();
    let found = match name {
        // The usual one needs no text that is made and hashed for each request.
        b"application" => object::dict_get(&dict, interpreter.names.application.bind(py)),
        name => object::latin1(py, name).and_then(|name| object::dict_get(&dict, &name)),
    };
    let found = found.ok().flatten();
    found.ok_or_else(|| {
        let (path, name) = (String::from_utf8_lossy(path), String::from_utf8_lossy(name));
        let text = format!("The WSGI script '{path}' does not contain the application '{name}'.");
        Report { message: &applications::NO_APPLICATION, text }
    })
}

fn load<'py>(py: Python<'py>, interpreter: &Interpreter, path: &[u8]) -> Result<Bound<'py, PyModule>, Report> {
    let shown = String::from_utf8_lossy(path);
    if !Process::get().settings.allows(path) {
        let text = format!(
            "The script '{shown}' is refused: the configuration leads no request of process group '{}' to it (WSGIScriptAlias, WSGIHandlerScript, \
             WSGIImportScript, or any file with SetHandler wsgi-script).",
            String::from_utf8_lossy(&Process::get().settings.group)
        );
        return Err(Report { message: &applications::SCRIPT_REFUSED, text });
    }
    let place = format!("{} {}", interpreter.label(), Process::get().place());
    record::process(Topic::INFO, &format!("Loading WSGI script '{shown}' into {place}."));
    // Taken before the file is read: if it changes meanwhile, the next request notices.
    let mtime = modified(path).unwrap_or(0);
    let source = std::fs::read(&*native(path)).map_err(|error| {
        let text = format!("The WSGI script '{shown}' cannot be read: {error}.");
        Report { message: &applications::UNREADABLE_SCRIPT, text }
    })?;
    execute(py, interpreter, path, &source, mtime).map_err(|error| {
        let traceback = traceback::describe(py, &error);
        let text = format!("The WSGI script '{shown}' cannot be loaded into {place}:\n{traceback}");
        Report { message: &applications::SCRIPT_FAILED, text }
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
    // What it was before would show through: a function that is no longer in the file, say. Who still uses that has it.
    py.import("sys")?.getattr("modules")?.call_method1("pop", (&name, py.None()))?;
    let code = py.import("builtins")?.call_method1("compile", (PyBytes::new(py, text), &file, "exec", 0, true))?;
    let module = object::execute_module(&name, &code, &file);
    forked::came_back(py, module.as_ref().err());
    let module = module?;
    module.setattr(interpreter.names.mtime.bind(py), mtime)?;
    Ok(module)
}

/// The name under which a script stands in `sys.modules`.
fn module_name(path: &[u8], case_sensitive: bool) -> String {
    let digest = if case_sensitive { md5::compute(path) } else { md5::compute(path.to_ascii_lowercase()) };
    format!("_mod_wsgi_{digest:x}")
}

/// The modification time of a file, in microseconds.
fn modified(path: &[u8]) -> Option<i64> {
    let modified = std::fs::metadata(&*native(path)).ok()?.modified().ok()?;
    Some(match modified.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_micros() as i64,
        // Of two microseconds, the earlier one, as above.
        Err(before) => -(before.duration().as_nanos().div_ceil(1000) as i64),
    })
}

/// Returns the version of the script's file, if it is not the one that was loaded.
fn newer(
    py: Python<'_>,
    interpreter: &Interpreter,
    script: &Script,
    module: &Bound<'_, PyModule>,
    need: &ScriptNeed<'_>,
) -> Option<i64> {
    let dict = module.dict();
    let loaded = object::dict_get(&dict, interpreter.names.mtime.bind(py)).ok().flatten();
    let loaded: Option<i64> = loaded.and_then(|mtime| mtime.extract().ok());
    // Apache's knowledge may be older than this process, so only what we see ourselves proves a change.
    if need.mtime == 0 || loaded != Some(need.mtime) {
        let now = modified(need.path);
        if now.is_none() || now != loaded {
            return Some(now.unwrap_or(reload::MISSING));
        }
    }
    let early = script.early.load(Ordering::Relaxed) && script.early.swap(false, Ordering::Relaxed);
    (!early && reload_required(py, interpreter, &dict, need)).then_some(reload::REQUIRED)
}

fn reload_required(
    py: Python<'_>,
    interpreter: &Interpreter,
    module: &Bound<'_, PyDict>,
    need: &ScriptNeed<'_>,
) -> bool {
    let Ok(Some(function)) = object::dict_get(module, interpreter.names.reload_required.bind(py)) else { return false };
    if let Some(changed) = is_another_file(&function) {
        return changed;
    }
    let resource = (need.resource)().unwrap_or(need.path);
    let answer = object::path(py, resource).and_then(|path| function.call1((path,))?.is_truthy());
    answer.unwrap_or_else(|error| {
        let text = traceback::describe(py, &error);
        events::log(py, &applications::RELOAD_FUNCTION_FAILED, &format!("Exception in reload_required():\n{text}"));
        false
    })
}

/// Whether a file is another one than a script says, whose `reload_required` is no function but the file's path, its
/// modification time in nanoseconds and its length, as those of `mod_wsgi-express` have it: to ask a function would
/// cost each request more than the look at the file. `None` for anything else. A file that is missing is being
/// replaced, and no other one yet.
fn is_another_file(required: &Bound<'_, PyAny>) -> Option<bool> {
    let (path, modified, length) = required.cast::<PyTuple>().ok()?.extract::<(Bound<'_, PyBytes>, i64, u64)>().ok()?;
    let now = std::fs::metadata(&*native(path.as_bytes())).ok();
    let stamp = now.and_then(|now| Some((nanoseconds(now.modified().ok()?), now.len())));
    Some(stamp.is_some_and(|stamp| stamp != (modified, length)))
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i64,
        Err(before) => -(before.duration().as_nanos() as i64),
    }
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
