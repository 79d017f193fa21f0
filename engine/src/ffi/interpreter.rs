//! Making and ending sub-interpreters.

use std::ffi::{c_int, c_void};

use pyo3::{Python, ffi};
use wsgi_wire::python::PyStatus;

use super::attach::{self, Handle};
use super::guard;
use super::runtime::symbol;

/// The first version whose sub-interpreters can have GILs of their own (PEP 684).
pub(crate) const OWN_GIL_SINCE: (u32, u32) = (3, 12);

/// The GIL that a sub-interpreter runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gil {
    /// The main interpreter's GIL, with its allocator: the legacy configuration, which every extension module accepts.
    Shared,
    /// A GIL of its own: CPython's isolated configuration, without daemon threads, `os.fork` and `os.exec`, and with a
    /// check of extension modules.
    Own,
}

/// A sub-interpreter. Its first thread state is part of it: no thread uses that while the interpreter serves, and it is
/// needed for its end.
pub(crate) struct SubInterpreter {
    /// The handle by which threads attach to it.
    pub(crate) handle: Handle,
    first: *mut ffi::PyThreadState,
}

// SAFETY: the state is only used by `end`, which takes the interpreter by value.
unsafe impl Send for SubInterpreter {}

/// Makes a sub-interpreter. Called on a thread that is attached to nothing. `None` if CPython could not.
pub(crate) fn create(main: Handle, gil: Gil) -> Option<SubInterpreter> {
    attach::with(main, |py| {
        // SAFETY: attached to the main interpreter.
        let outer = unsafe { ffi::PyThreadState_Get() };
        let first = match gil {
            // SAFETY: as above. The state of the new interpreter is current afterwards, or `outer` if there is none.
            Gil::Shared => unsafe { ffi::Py_NewInterpreter() },
            // SAFETY: as above.
            Gil::Own => unsafe { new_isolated() },
        };
        let made = (!first.is_null()).then(|| {
            // SAFETY: the state of the new interpreter, which lives until `end`.
            let handle = unsafe { Handle::of(first) };
            SubInterpreter { handle, first }
        });
        if made.is_some() {
            // Before CPython 3.13 `threading.main_thread()` lives as long as the state that first imports the module:
            // this one, and no worker's. Where it cannot be imported, preparing the interpreter fails, and says why.
            guard::catch("a new interpreter", || attach::here(py, || drop(py.import("threading"))));
        }
        // SAFETY: a state of this thread. From CPython 3.12 a swap gives up the lock of the one interpreter and takes
        // that of the other.
        unsafe { ffi::PyThreadState_Swap(outer) };
        made
    })
}

/// `PyInterpreterConfig` of `cpython/pylifecycle.h`, the same from 3.12 on. It is no part of the stable ABI, so it is
/// written down here.
#[repr(C)]
struct Configuration {
    use_main_obmalloc: c_int,
    allow_fork: c_int,
    allow_exec: c_int,
    allow_threads: c_int,
    allow_daemon_threads: c_int,
    check_multi_interp_extensions: c_int,
    gil: c_int,
}

/// The values of `_PyInterpreterConfig_INIT`.
const ISOLATED: Configuration = Configuration {
    use_main_obmalloc: 0,
    allow_fork: 0,
    allow_exec: 0,
    allow_threads: 1,
    allow_daemon_threads: 0,
    check_multi_interp_extensions: 1,
    gil: 2,
};

type NewInterpreterFromConfig =
    unsafe extern "C" fn(state: *mut *mut ffi::PyThreadState, configuration: *const Configuration) -> PyStatus;

/// # Safety
/// Attached to the main interpreter. Afterwards the new state is current, or, if there is none, the old one.
unsafe fn new_isolated() -> *mut ffi::PyThreadState {
    let mut first = std::ptr::null_mut();
    if let Some(symbol) = symbol(c"Py_NewInterpreterFromConfig") {
        // SAFETY: CPython declares the function so since 3.12, where it first appears.
        let create = unsafe { std::mem::transmute::<*mut c_void, NewInterpreterFromConfig>(symbol) };
        // SAFETY: attached to the main interpreter; what it says on failure besides is not needed.
        unsafe { create(&mut first, &ISOLATED) };
    }
    first
}

/// Whether the interpreter of this state has no other, which is what CPython demands before it ends one.
///
/// # Safety
/// The state is current.
unsafe fn is_last(state: *mut ffi::PyThreadState) -> bool {
    type Head = unsafe extern "C" fn(*mut ffi::PyInterpreterState) -> *mut ffi::PyThreadState;
    type Next = unsafe extern "C" fn(*mut ffi::PyThreadState) -> *mut ffi::PyThreadState;
    let (Some(head), Some(next)) = (symbol(c"PyInterpreterState_ThreadHead"), symbol(c"PyThreadState_Next")) else {
        return false;
    };
    // SAFETY: CPython's documented signature ("Advanced Debugger Support").
    let head = unsafe { std::mem::transmute::<*mut c_void, Head>(head) };
    // SAFETY: as above.
    let next = unsafe { std::mem::transmute::<*mut c_void, Next>(next) };
    // SAFETY: the state is current.
    let interpreter = unsafe { ffi::PyThreadState_GetInterpreter(state) };
    // SAFETY: attached, so the list of states does not change.
    let is_first = unsafe { head(interpreter) } == state;
    // SAFETY: as above.
    is_first && unsafe { next(state) }.is_null()
}

/// Ends a sub-interpreter: `wait` runs in it until no thread should be left there; then CPython frees it. An
/// interpreter in which some thread still has a state, or in which `wait` has panicked, is left as it is after
/// `abandon`: CPython would abort the process, or wait for ever. Returns whether it is gone.
///
/// Called on a thread that is attached to nothing, when no request runs any more and the workers have given back their
/// states.
pub(crate) fn end(
    main: Handle,
    interpreter: SubInterpreter,
    wait: impl FnOnce(Python<'_>),
    abandon: impl FnOnce(Python<'_>),
) -> bool {
    attach::with(main, |py| {
        // SAFETY: attached to the main interpreter.
        let outer = unsafe { ffi::PyThreadState_Get() };
        // SAFETY: the first state is used by this thread alone.
        unsafe { ffi::PyThreadState_Swap(interpreter.first) };
        let waited = guard::catch("the end of an interpreter", || attach::here(py, || wait(py)));
        // SAFETY: the state is current.
        let alone = waited.is_some() && unsafe { is_last(interpreter.first) };
        if alone {
            // SAFETY: the state is current, and the only one of its interpreter.
            unsafe { ffi::Py_EndInterpreter(interpreter.first) };
        } else {
            guard::catch("the end of an interpreter", || attach::here(py, || abandon(py)));
        }
        // SAFETY: a state of this thread (the order that CPython's own embedding tests use).
        unsafe { ffi::PyThreadState_Swap(outer) };
        alone
    })
}
