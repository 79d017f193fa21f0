//! Making and ending sub-interpreters.

use pyo3::{Python, ffi};

use super::attach::{self, Handle};
use super::guard::catch;

/// A sub-interpreter. Its first thread state is part of it, is used by no thread while it serves, and is there for its end.
pub(crate) struct SubInterpreter {
    /// How to attach to it.
    pub(crate) handle: Handle,
    first: *mut ffi::PyThreadState,
}

// SAFETY: the state is only used by `end`, which takes the interpreter by value.
unsafe impl Send for SubInterpreter {}

/// Makes a sub-interpreter with the legacy configuration (shared lock and allocator), which every extension module accepts. Called on a thread
/// that is attached to nothing. `None` if CPython could not.
pub(crate) fn create(main: Handle) -> Option<SubInterpreter> {
    attach::with(main, |_py| {
        // SAFETY: attached to the main interpreter; its state is current again when this ends, whatever happens.
        unsafe {
            let outer = ffi::PyThreadState_Get();
            let first = ffi::Py_NewInterpreter();
            let made = (!first.is_null()).then(|| SubInterpreter { handle: Handle::of(first), first });
            ffi::PyThreadState_Swap(outer);
            made
        }
    })
}

/// Ends a sub-interpreter: `farewell` runs in it and says whether no thread is left there; then CPython frees it. An interpreter whose daemon
/// threads are still alive is left as it is, because CPython would abort the process. Whether it is gone.
///
/// Called on a thread that is attached to nothing, when no request runs any more and the workers have given back their states.
pub(crate) fn end(main: Handle, interpreter: SubInterpreter, farewell: impl FnOnce(Python<'_>) -> bool) -> bool {
    attach::with(main, |py| {
        // SAFETY: attached to the main interpreter; the first state is used by this thread alone, and the outer one is current again at the end
        // (the order that CPython's own embedding tests use).
        unsafe {
            let outer = ffi::PyThreadState_Get();
            ffi::PyThreadState_Swap(interpreter.first);
            let alone = catch("the end of an interpreter", || attach::here(py, || farewell(py))) == Some(true);
            if alone {
                ffi::Py_EndInterpreter(interpreter.first);
            }
            ffi::PyThreadState_Swap(outer);
            alone
        }
    })
}
