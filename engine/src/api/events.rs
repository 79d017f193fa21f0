//! Events that applications subscribe to (`mod_wsgi.subscribe_events` and its like), and the data that goes with a
//! request.

use pyo3::types::{PyAnyMethods, PyDict, PyDictMethods, PyList, PyListMethods, PyString};
use pyo3::{Bound, Python};
use wsgi_wire::messages::{Topic, applications};
use wsgi_wire::record::LogRecord;

use crate::ffi::owned::Owned;
use crate::interpreter::Interpreter;
use crate::log::order;
use crate::log::record;
use crate::log::traceback;
use crate::process::forked;
use crate::request;

/// Whether a callback is subscribed to events of requests.
pub(crate) fn wanted(py: Python<'_>, interpreter: &Interpreter) -> bool {
    !interpreter.callbacks.events.bind(py).is_empty()
}

/// Calls every callback with the event's name and its content as keywords. A dict that one returns is merged into the
/// event for those after it, and for the caller. Exceptions are logged and stop nothing.
pub(crate) fn publish(py: Python<'_>, callbacks: &Owned<PyList>, name: &str, event: &Bound<'_, PyDict>) {
    let snapshot: Vec<_> = callbacks.bind(py).iter().collect();
    for callback in snapshot {
        let answer = callback.call((name,), Some(event));
        forked::came_back(py, answer.as_ref().err());
        match answer {
            Ok(answer) => {
                if let Ok(changes) = answer.cast::<PyDict>() {
                    for (key, value) in changes.iter() {
                        // A key that cannot be hashed cannot have been a key of a dict.
                        let _ = event.set_item(key, value);
                    }
                }
            }
            Err(error) => {
                let text =
                    format!("Exception in a callback for the event '{name}':\n{}", traceback::describe(py, &error));
                log(py, &applications::CALLBACK_FAILED, &text);
            }
        }
    }
}

/// Writes a record of our own, with the context of the request that the calling thread serves, if it serves one.
pub(crate) fn log(py: Python<'_>, topic: impl Into<Topic>, text: &str) {
    log_record(py, LogRecord::ours(topic, record::writer(), text), None);
}

/// Writes a record with the context of the request that the calling thread serves, if it serves one. `interpreter`: the
/// interpreter that the record comes from.
pub(crate) fn log_record(py: Python<'_>, record: LogRecord, interpreter: Option<&Interpreter>) {
    match request::current(py) {
        Some(request) => request.record(py, record),
        None => {
            order::await_log(py);
            record::write_attached(py, record, interpreter.map(Interpreter::application_group), None);
        }
    }
}

/// Publishes `process_stopping` in the attached interpreter.
pub(crate) fn process_stopping(py: Python<'_>, interpreter: &Interpreter, reason: &str) {
    let event = PyDict::new(py);
    if event.set_item("shutdown_reason", PyString::new(py, reason)).is_ok() {
        publish(py, &interpreter.callbacks.events, "process_stopping", &event);
        publish(py, &interpreter.callbacks.shutdown, "process_stopping", &event);
    }
}

/// Publishes `process_signal` in the attached interpreter.
pub(crate) fn process_signal(py: Python<'_>, interpreter: &Interpreter, name: &str, number: i32) {
    let event = PyDict::new(py);
    let filled = event.set_item("signame", name).and_then(|()| event.set_item("signum", number));
    if filled.is_ok() {
        publish(py, &interpreter.callbacks.events, "process_signal", &event);
        publish(py, &interpreter.callbacks.signals, "process_signal", &event);
    }
}
