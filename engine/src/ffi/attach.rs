//! Attaching a thread to an interpreter. Each OS thread has at most one thread state for each interpreter, which lives
//! as long as the thread, so that `threading.local` values survive from one request to the next.
//!
//! `PyGILState_*`, and with it pyo3 and most C extensions, use the state that is *bound* to the OS thread. From CPython
//! 3.12 every activation binds; before, the first state made on a thread stays bound until it is deleted. There
//! [`bind`] does what later versions do.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::sync::OnceLock;

use pyo3::{Bound, PyAny, Python, ffi};
use wsgi_unix::thread_key::ThreadKey;

use super::runtime::{symbol, version};

/// An interpreter as the C API knows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle(*mut ffi::PyInterpreterState);

// SAFETY: the pointer is only handed back to CPython, and interpreters live until the process ends its Python part.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// The interpreter of a thread state.
    ///
    /// # Safety
    /// The state is alive.
    pub(super) unsafe fn of(state: *mut ffi::PyThreadState) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { ffi::PyThreadState_GetInterpreter(state) })
    }

    /// The interpreter that is attached now.
    pub(crate) fn current(_py: Python<'_>) -> Self {
        // SAFETY: the token says that we are attached.
        Self(unsafe { ffi::PyInterpreterState_Get() })
    }
}

/// The state of one thread in one interpreter.
#[derive(Clone, Copy)]
pub(crate) struct State(*mut ffi::PyThreadState);

// SAFETY: other threads only look at it, in `frame`.
unsafe impl Send for State {}
// SAFETY: as above.
unsafe impl Sync for State {}

impl State {
    /// The state of the calling thread in an interpreter, whether it is attached there or not.
    pub(crate) fn of(interpreter: Handle) -> Self {
        Self(state_for(interpreter))
    }

    /// Returns the frame that the thread executes, while its interpreter is attached and the thread serves a request
    /// there. Unlike `sys._current_frames()` this leaves other interpreters alone, whose threads may be running.
    pub(crate) fn frame<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        type GetFrame = unsafe extern "C" fn(*mut ffi::PyThreadState) -> *mut ffi::PyObject;
        let function = symbol(c"PyThreadState_GetFrame")?;
        // SAFETY: CPython's documented signature.
        let get = unsafe { std::mem::transmute::<*mut c_void, GetFrame>(function) };
        // SAFETY: workers keep their states until the process ends, and one that is in the attached interpreter does
        // not run now.
        let frame = unsafe { get(self.0) };
        // SAFETY: a new reference, or null without an exception.
        unsafe { Bound::from_owned_ptr_or_opt(py, frame) }
    }
}

thread_local! {
    /// The id of the interpreter that this thread is attached to, as far as our code has attached it or was called
    /// attached.
    static HERE: Cell<Option<i64>> = const { Cell::new(None) };
    static STATES: RefCell<Vec<(Handle, *mut ffi::PyThreadState)>> = const { RefCell::new(Vec::new()) };
}

/// Runs `body` attached to the interpreter, on a thread that is attached to none. Never to be called on the thread that
/// Python began on: its state of the main interpreter stays bound for ever.
pub(crate) fn with<R>(interpreter: Handle, body: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
    let state = state_for(interpreter);
    if version() < (3, 12) {
        bind(state);
    }
    // SAFETY: the state belongs to this thread and the thread is attached to nothing.
    unsafe { ffi::PyEval_RestoreThread(state) };
    let _attached = Attached(PhantomData);
    // SAFETY: attached; `PyGILState_Ensure` inside finds the bound state, which is the current one (module head).
    unsafe { Python::attach_unchecked(|py| here(py, || body(py))) }
}

/// Runs `body` on a thread that is attached, and remembers to which interpreter.
pub(super) fn here<R>(_py: Python<'_>, body: impl FnOnce() -> R) -> R {
    // SAFETY: attached, says the token.
    let current = unsafe { ffi::PyInterpreterState_Get() };
    // SAFETY: the interpreter that this thread is attached to.
    let id = unsafe { ffi::PyInterpreterState_GetID(current) };
    let _back = Back(HERE.replace(Some(id)));
    body()
}

/// Runs `body` detached.
pub(crate) fn detach<R: Send>(py: Python<'_>, body: impl FnOnce() -> R + Send) -> R {
    let _back = Back(HERE.replace(None));
    py.detach(body)
}

/// Restores [`HERE`] when it is dropped, after a panic too.
struct Back(Option<i64>);

impl Drop for Back {
    fn drop(&mut self) {
        HERE.set(self.0);
    }
}

/// Binds a state of this thread to it, where another one may be bound. Before CPython 3.12 only.
fn bind(state: *mut ffi::PyThreadState) {
    // SAFETY: needs no attached thread.
    let bound = unsafe { ffi::PyGILState_GetThisThreadState() };
    if bound == state {
        return;
    }
    let Some(key) = BINDING.get_or_init(|| binding(bound)) else { return };
    // SAFETY: the key is CPython's, and its value is a state of this thread.
    unsafe { key.set(state.cast()) };
}

/// The thread-specific key under which CPython keeps the bound state; `None` if it has not been found.
static BINDING: OnceLock<Option<ThreadKey>> = OnceLock::new();

/// Finds the key by its value on this thread, which is `bound`, and makes sure that it is the one.
fn binding(bound: *mut ffi::PyThreadState) -> Option<ThreadKey> {
    let value = bound.cast::<c_void>();
    let is_it = |key: &ThreadKey| {
        if value.is_null() || key.value() != value {
            return false;
        }
        // SAFETY: the key is in use. If it is not CPython's, nobody looks at it until it has its value back.
        unsafe { key.set(std::ptr::null_mut()) };
        // SAFETY: reads the value of CPython's own key.
        let unbound = unsafe { ffi::PyGILState_GetThisThreadState() }.is_null();
        // SAFETY: the value that it had.
        unsafe { key.set(value) };
        unbound
    };
    ThreadKey::all().find(is_it)
}

/// Detaches when the body has ended, by a panic too.
struct Attached(PhantomData<*mut ()>);

impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: made right after attaching; every nested detach has attached again.
        unsafe { ffi::PyEval_SaveThread() };
    }
}

fn state_for(interpreter: Handle) -> *mut ffi::PyThreadState {
    if let Some(state) = STATES.with_borrow(|states| states.iter().find(|(i, _)| *i == interpreter).map(|(_, s)| *s)) {
        return state;
    }
    if version() < (3, 12) && matches!(BINDING.get(), Some(None)) {
        // Only a state that is deleted makes room for another one.
        release();
    }
    // SAFETY: needs no attached thread; the interpreter is alive.
    let state = unsafe { ffi::PyThreadState_New(interpreter.0) };
    STATES.with_borrow_mut(|states| states.push((interpreter, state)));
    state
}

/// Gives back the thread states of this thread, at its end.
pub(crate) fn release() {
    for (_, state) in STATES.take() {
        // SAFETY: our own state, of this thread, which is attached to nothing.
        unsafe { ffi::PyEval_RestoreThread(state) };
        // SAFETY: attached to its interpreter.
        unsafe { ffi::PyThreadState_Clear(state) };
        // SAFETY: attached.
        unsafe { ffi::PyEval_SaveThread() };
        // SAFETY: cleared, and not current; it is deleted once, here.
        unsafe { ffi::PyThreadState_Delete(state) };
    }
}

/// The id of the interpreter that this thread is attached to, if any.
pub(super) fn current_id() -> Option<i64> {
    HERE.get()
}
