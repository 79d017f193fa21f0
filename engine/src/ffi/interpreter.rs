//! Making and ending sub-interpreters.

use std::ffi::{c_int, c_void};

use pyo3::{Python, ffi};
use wsgi_wire::python::PyStatus;

use super::attach::{self, Handle};
use super::guard::catch;
use super::runtime::symbol;

/// The first version whose sub-interpreters can have GILs of their own (PEP 684).
pub(crate) const OWN_GIL_SINCE: (u32, u32) = (3, 12);

/// Whose lock a sub-interpreter runs under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gil {
    /// The main interpreter's, and its allocator: the legacy configuration, which every extension module accepts.
    Shared,
    /// Its own: CPython's isolated configuration, without daemon threads, `os.fork` and `os.exec`, and with a check of
    /// extension modules.
    Own,
}

/// A sub-interpreter. Its first thread state is part of it, is used by no thread while it serves, and is there for its
/// end.
pub(crate) struct SubInterpreter {
    /// How to attach to it.
    pub(crate) handle: Handle,
    first: *mut ffi::PyThreadState,
}

// SAFETY: the state is only used by `end`, which takes the interpreter by value.
unsafe impl Send for SubInterpreter {}

/// Makes a sub-interpreter. Called on a thread that is attached to nothing. `None` if CPython could not.
pub(crate) fn create(main: Handle, gil: Gil) -> Option<SubInterpreter> {
    attach::with(main, |py| {
        // SAFETY: attached to the main interpreter; its state is current again when this ends, whatever happens. From
        // CPython 3.12 a swap gives up the lock of the one interpreter and takes that of the other.
        unsafe {
            let outer = ffi::PyThreadState_Get();
            let first = match gil {
                Gil::Shared => ffi::Py_NewInterpreter(),
                Gil::Own => new_isolated(),
            };
            let made = (!first.is_null()).then(|| SubInterpreter { handle: Handle::of(first), first });
            if made.is_some() {
                // Before CPython 3.13 `threading.main_thread()` lives as long as the state that first imports the
                // module: this one, and no worker's. Where it cannot be imported, preparing the interpreter fails, and
                // says why.
                catch("a new interpreter", || attach::here(py, || drop(py.import("threading"))));
            }
            ffi::PyThreadState_Swap(outer);
            made
        }
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

/// `_PyInterpreterConfig_INIT`
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
        // SAFETY: CPython declares the function so since 3.12, where it first appears; what it says on failure besides
        // is not needed.
        unsafe {
            let create = std::mem::transmute::<*mut c_void, NewInterpreterFromConfig>(symbol);
            create(&mut first, &ISOLATED);
        }
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
    // SAFETY: CPython's documented signatures ("Advanced Debugger Support"); attached, so the list of states does not
    // change.
    unsafe {
        let head = std::mem::transmute::<*mut c_void, Head>(head);
        let next = std::mem::transmute::<*mut c_void, Next>(next);
        head(ffi::PyThreadState_GetInterpreter(state)) == state && next(state).is_null()
    }
}

/// Ends a sub-interpreter: `wait` runs in it until no thread should be left there; then CPython frees it. An
/// interpreter that some thread still has a state of is left as it is after `abandon`, because CPython would abort the
/// process. Whether it is gone.
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
        // SAFETY: attached to the main interpreter; the first state is used by this thread alone, and the outer one is
        // current again at the end (the order that CPython's own embedding tests use).
        unsafe {
            let outer = ffi::PyThreadState_Get();
            ffi::PyThreadState_Swap(interpreter.first);
            catch("the end of an interpreter", || attach::here(py, || wait(py)));
            let alone = is_last(interpreter.first);
            if alone {
                ffi::Py_EndInterpreter(interpreter.first);
            } else {
                catch("the end of an interpreter", || attach::here(py, || abandon(py)));
            }
            ffi::PyThreadState_Swap(outer);
            alone
        }
    })
}
