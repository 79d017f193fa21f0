//! Failures that come from running an extension module in a sub-interpreter, and the line for the log that says what helps.

use crate::interpreter::Interpreter;
use crate::process::Process;

/// What only interpreters with locks of their own refuse.
const OF_OWN_LOCKS: &[&str] = &[
    "does not support loading in subinterpreters",
    "daemon threads are disabled in this (sub)interpreter",
    "fork not supported for isolated subinterpreters",
    "exec not supported for isolated subinterpreters",
];

/// What extension modules say that work in one interpreter of a process only.
const OF_SUB_INTERPRETERS: &[&str] = &[
    // CPython, for a module that says so itself.
    "does not support loading in subinterpreters",
    // NumPy, its different versions; the second one is spelled so.
    "cannot load module more than once per process",
    "CPU dispatcher tracer already initlized",
    // PyO3
    "PyO3 modules do not yet support subinterpreters",
    "PyO3 modules may only be initialized once per interpreter process",
    // Cython: lxml, uvloop, gevent, asyncpg, pymssql, oracledb, pyarrow, grpc
    "Interpreter change detected",
    // pybind11: TensorFlow, OpenCV, SciPy
    "generic_type: type \"",
    "pybind11::internals",
    // PyTorch
    "already has a docstring",
    // psycopg2: one table of adapters for all interpreters, with the classes of the one that came last; whoever meets another's gets these.
    "descriptor '__init__' requires a",
    "can't adapt type 'Decimal'",
    "can't adapt type 'Json'",
    "can't adapt type 'SafeString'",
    "can't adapt type 'datetime.",
    // CPython
    "preexec_fn not supported within subinterpreters",
];

/// What helps against a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cure {
    /// The main interpreter.
    Main,
    /// The main interpreter, or a sub-interpreter without a lock of its own.
    SharedLock,
}

/// The cure for a failure in a sub-interpreter, by its traceback. Pure.
fn cure(traceback: &str, own_lock: bool) -> Option<Cure> {
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| traceback.contains(phrase));
    match own_lock {
        true if says(OF_OWN_LOCKS) => Some(Cure::SharedLock),
        _ => says(OF_SUB_INTERPRETERS).then_some(Cure::Main),
    }
}

fn sentence(cure: Cure, label: &str, group: &str, script: &str) -> String {
    let main = format!("run '{script}' in the main interpreter, with application-group=%{{GLOBAL}}");
    match cure {
        Cure::Main => format!("An extension module that '{script}' uses does not work in {label}: {main}."),
        Cure::SharedLock => format!(
            "Something that '{script}' uses does not work in {label}, which has a lock of its own: take WSGIPerInterpreterGIL off for \
             application-group={group}, or {main}."
        ),
    }
}

/// What the log should say besides this traceback of a script: once for each script, and only if it is known what helps.
pub(crate) fn advice(interpreter: &Interpreter, script: &[u8], traceback: &str) -> Option<String> {
    if interpreter.group.is_empty() {
        return None;
    }
    let cure = cure(traceback, interpreter.own_gil).filter(|_| Process::get().advised.first(script))?;
    let (group, script) = (String::from_utf8_lossy(&interpreter.group), String::from_utf8_lossy(script));
    Some(sentence(cure, &interpreter.label(), &group, &script))
}

/// What to say when nobody gives a lock back while this script runs in a sub-interpreter.
pub(crate) fn deadlock_advice(interpreter: &Interpreter, script: &[u8]) -> Option<String> {
    let script = String::from_utf8_lossy(script);
    (!interpreter.group.is_empty()).then(|| {
        format!(
            "'{script}' was running in {}, where extension modules that use the simplified interface to the interpreter's lock (PyGILState) \
             may wait for themselves for ever: if it uses one, run it in the main interpreter, with application-group=%{{GLOBAL}}.",
            interpreter.label()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_failures_have_a_cure() {
        let rows = [
            ("ImportError: module _curses does not support loading in subinterpreters", true, Some(Cure::SharedLock)),
            ("ImportError: module _curses does not support loading in subinterpreters", false, Some(Cure::Main)),
            ("ImportError: cannot load module more than once per process", false, Some(Cure::Main)),
            ("RuntimeError: CPU dispatcher tracer already initlized", false, Some(Cure::Main)),
            ("ImportError: PyO3 modules do not yet support subinterpreters, see https://…", true, Some(Cure::Main)),
            ("ImportError: PyO3 modules may only be initialized once per interpreter process", false, Some(Cure::Main)),
            ("ImportError: Interpreter change detected - this module can only be …", false, Some(Cure::Main)),
            ("ImportError: generic_type: type \"Tensor\" is already registered!", false, Some(Cure::Main)),
            ("RuntimeError: function '_has_torch_function' already has a docstring", false, Some(Cure::Main)),
            ("psycopg2.ProgrammingError: can't adapt type 'Decimal'", false, Some(Cure::Main)),
            (
                "ImportError: module psycopg2._psycopg does not support loading in subinterpreters",
                true,
                Some(Cure::SharedLock),
            ),
            ("TypeError: descriptor '__init__' requires a 'int' object but received a 'Json'", false, Some(Cure::Main)),
            // What is wrong in any interpreter.
            ("psycopg2.ProgrammingError: can't adapt type 'Order'", false, None),
            ("TypeError: descriptor 'lower' for 'str' objects doesn't apply to a 'int' object", false, None),
            ("RuntimeError: fork not supported for isolated subinterpreters", true, Some(Cure::SharedLock)),
            ("RuntimeError: fork not supported for isolated subinterpreters", false, None),
            ("ImportError: No module named 'numpy'", true, None),
        ];
        for (traceback, own_lock, expected) in rows {
            assert_eq!(cure(traceback, own_lock), expected, "{traceback}");
        }
    }

    #[test]
    fn a_cure_is_one_line_that_names_script_and_setting() {
        let line = sentence(Cure::Main, "sub-interpreter 'a'", "a", "/app.wsgi");
        assert!(line.contains("'/app.wsgi'") && line.contains("application-group=%{GLOBAL}") && !line.contains('\n'));
        let line = sentence(Cure::SharedLock, "sub-interpreter 'a'", "a", "/app.wsgi");
        assert!(line.contains("WSGIPerInterpreterGIL") && line.contains("%{GLOBAL}") && !line.contains('\n'));
    }
}
