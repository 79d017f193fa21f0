//! Advice about failures that come from running an extension module in a sub-interpreter: which failures these are, and
//! the sentence for the log that says what helps.

use wsgi_wire::messages::{Message, applications};

use crate::interpreter::Interpreter;
use crate::process::Process;

/// Parts of messages that only interpreters with GILs of their own give.
const OF_OWN_GILS: &[&str] = &[
    "does not support loading in subinterpreters",
    "daemon threads are disabled in this (sub)interpreter",
    "fork not supported for isolated subinterpreters",
    "exec not supported for isolated subinterpreters",
];

/// Parts of messages of extension modules that work in one interpreter of a process only.
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
    // PyTorch, its different versions; the second one has initialised its table of methods for another interpreter.
    "already has a docstring",
    "method: bad call flags",
    // psycopg2: one table of adapters for all interpreters, with the classes of the one that came last; whoever meets
    // another's gets these.
    "descriptor '__init__' requires a",
    "can't adapt type 'Decimal'",
    "can't adapt type 'Json'",
    "can't adapt type 'SafeString'",
    "can't adapt type 'datetime.",
    // CPython
    "preexec_fn not supported within subinterpreters",
];

/// The cure for a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Advice {
    /// The script has to run in the main interpreter.
    Main,
    /// The script has to run in the main interpreter, or in a sub-interpreter without a GIL of its own.
    SharedGil,
    /// There must be no other interpreter in the process: this is the main one, and a sub-interpreter has loaded the
    /// module before.
    Alone,
}

/// Returns the advice for a failure in an interpreter that is not alone in its process, as its traceback shows it.
/// Pure.
fn known(traceback: &str, is_main: bool, own_gil: bool) -> Option<Advice> {
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| traceback.contains(phrase));
    match own_gil {
        true if says(OF_OWN_GILS) => Some(Advice::SharedGil),
        _ => says(OF_SUB_INTERPRETERS).then_some(if is_main { Advice::Alone } else { Advice::Main }),
    }
}

fn sentence(advice: Advice, label: &str, group: &str, script: &str) -> (&'static Message, String) {
    let main = format!("run '{script}' in the main interpreter, with application-group=%{{GLOBAL}}");
    match advice {
        Advice::Main => {
            let text = format!("An extension module that '{script}' uses does not work in {label}: {main}.");
            (&applications::NOT_FOR_SUB_INTERPRETERS, text)
        }
        Advice::SharedGil => {
            let text = format!(
                "Something that '{script}' uses does not work in {label}, which has a lock of its own: take WSGIPerInterpreterGIL off for \
                 application-group={group}, or {main}."
            );
            (&applications::NOT_FOR_OWN_GIL, text)
        }
        Advice::Alone => {
            let text = format!(
                "An extension module that '{script}' uses works in one interpreter of a process only, and a sub-interpreter of this process has it: \
                 give '{script}' a process group of its own, or run the other applications with application-group=%{{GLOBAL}}, too."
            );
            (&applications::NOT_ALONE, text)
        }
    }
}

/// Returns the sentence that the log should have behind this traceback of a script: once for each script, and only if a
/// cure is known.
pub(crate) fn advice(interpreter: &Interpreter, script: &[u8], traceback: &str) -> Option<(&'static Message, String)> {
    let is_main = interpreter.group.is_empty();
    if is_main && !Interpreter::has_others() {
        return None;
    }
    let advice = known(traceback, is_main, interpreter.own_gil).filter(|_| Process::get().advised.first(script))?;
    let (group, script) = (String::from_utf8_lossy(&interpreter.group), String::from_utf8_lossy(script));
    Some(sentence(advice, &interpreter.label(), &group, &script))
}

/// Returns the sentence for the log when a GIL is not given back while this script runs in a sub-interpreter.
pub(crate) fn deadlock_advice(interpreter: &Interpreter, script: &[u8]) -> Option<String> {
    let script = String::from_utf8_lossy(script);
    (!interpreter.group.is_empty()).then(|| {
        format!(
            "'{script}' was running in {}, where extension modules that use the simplified interface to the GIL (PyGILState) \
             may wait for themselves for ever: if it uses one, run it in the main interpreter, with application-group=%{{GLOBAL}}.",
            interpreter.label()
        )
    })
}

/// Returns the sentence for the log, once in a process, when an application of this interpreter is about to fork and
/// CPython would end the child at once: it ends all other interpreters there, which it cannot do from within one of
/// them, nor (3.10 to 3.13 at least) while threads have been in them.
pub(crate) fn fork_advice(interpreter: &Interpreter) -> Option<String> {
    let in_vain = !interpreter.group.is_empty() || Interpreter::has_others();
    (in_vain && Process::get().advised.first(b"fork")).then(|| {
        format!(
            "An application forks in {} of a process that has several. CPython ends the child there, or lets it wait for ever. Give the application \
             a process group of its own with application-group=%{{GLOBAL}}, or let it start processes with subprocess or \
             multiprocessing.get_context(\"spawn\").",
            interpreter.label()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_failures_have_advice() {
        let rows = [
            ("ImportError: module _curses does not support loading in subinterpreters", true, Some(Advice::SharedGil)),
            ("ImportError: module _curses does not support loading in subinterpreters", false, Some(Advice::Main)),
            ("ImportError: cannot load module more than once per process", false, Some(Advice::Main)),
            ("RuntimeError: CPU dispatcher tracer already initlized", false, Some(Advice::Main)),
            ("ImportError: PyO3 modules do not yet support subinterpreters, see https://…", true, Some(Advice::Main)),
            (
                "ImportError: PyO3 modules may only be initialized once per interpreter process",
                false,
                Some(Advice::Main),
            ),
            ("ImportError: Interpreter change detected - this module can only be …", false, Some(Advice::Main)),
            ("ImportError: generic_type: type \"Tensor\" is already registered!", false, Some(Advice::Main)),
            ("RuntimeError: function '_has_torch_function' already has a docstring", false, Some(Advice::Main)),
            ("SystemError: \u{fffd}\u{3}() method: bad call flags", false, Some(Advice::Main)),
            ("psycopg2.ProgrammingError: can't adapt type 'Decimal'", false, Some(Advice::Main)),
            (
                "ImportError: module psycopg2._psycopg does not support loading in subinterpreters",
                true,
                Some(Advice::SharedGil),
            ),
            (
                "TypeError: descriptor '__init__' requires a 'int' object but received a 'Json'",
                false,
                Some(Advice::Main),
            ),
            // What is wrong in any interpreter.
            ("psycopg2.ProgrammingError: can't adapt type 'Order'", false, None),
            ("TypeError: descriptor 'lower' for 'str' objects doesn't apply to a 'int' object", false, None),
            ("RuntimeError: fork not supported for isolated subinterpreters", true, Some(Advice::SharedGil)),
            ("RuntimeError: fork not supported for isolated subinterpreters", false, None),
            ("ImportError: No module named 'numpy'", true, None),
        ];
        for (traceback, own_gil, expected) in rows {
            assert_eq!(known(traceback, false, own_gil), expected, "{traceback}");
        }
        assert_eq!(
            known("ImportError: cannot load module more than once per process", true, false),
            Some(Advice::Alone)
        );
    }

    #[test]
    fn advice_is_one_line_that_names_script_and_setting() {
        let (_, line) = sentence(Advice::Main, "sub-interpreter 'a'", "a", "/app.wsgi");
        assert!(line.contains("'/app.wsgi'") && line.contains("application-group=%{GLOBAL}") && !line.contains('\n'));
        let (_, line) = sentence(Advice::SharedGil, "sub-interpreter 'a'", "a", "/app.wsgi");
        assert!(line.contains("WSGIPerInterpreterGIL") && line.contains("%{GLOBAL}") && !line.contains('\n'));
        let (_, line) = sentence(Advice::Alone, "main interpreter", "", "/app.wsgi");
        assert!(line.contains("give '/app.wsgi' a process group of its own") && !line.contains('\n'));
    }
}
