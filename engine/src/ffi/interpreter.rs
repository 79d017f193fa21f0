//! Making and ending sub-interpreters.

use pyo3::{Python, ffi};

use super::attach::{self, Handle};

/// Makes a sub-interpreter with the legacy configuration (shared lock and allocator), which every extension module accepts. Called on a thread
/// that is attached to nothing. `None` if CPython could not.
pub(crate) fn create(main: Handle) -> Option<Handle> {
    attach::with(main, |_py| {
        // SAFETY: attached to the main interpreter; its state is current again when this ends, whatever happens.
        unsafe {
            let outer = ffi::PyThreadState_Get();
            let state = ffi::Py_NewInterpreter();
            if state.is_null() {
                ffi::PyThreadState_Swap(outer);
                return None;
            }
            let handle = Handle::of(state);
            // Threads make states of their own when they attach.
            ffi::PyThreadState_Clear(state);
            ffi::PyThreadState_Swap(outer);
            ffi::PyThreadState_Delete(state);
            Some(handle)
        }
    })
}

/// Ends a sub-interpreter: `farewell` runs in it and says whether no thread is left there; then CPython frees it. An interpreter whose daemon
/// threads are still alive is left as it is, because CPython would abort the process.
///
/// Called on a thread that is attached to nothing, when no request runs any more and the workers have given back their states.
pub(crate) fn end(main: Handle, interpreter: Handle, farewell: impl FnOnce(Python<'_>) -> bool) {
    attach::with(main, |py| {
        // SAFETY: attached to the main interpreter; the new state is used by this thread alone, and the outer one is current again at the end
        // (the order that CPython's own embedding tests use).
        unsafe {
            let outer = ffi::PyThreadState_Get();
            let state = ffi::PyThreadState_New(interpreter.as_ptr());
            ffi::PyThreadState_Swap(state);
            if farewell(py) {
                ffi::Py_EndInterpreter(state);
            }
            ffi::PyThreadState_Swap(outer);
        }
    });
}
