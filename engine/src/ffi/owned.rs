//! References to Python objects that outlive an attach.

use std::mem::ManuallyDrop;

use pyo3::{Bound, Py, PyAny, Python, ffi};

use super::attach;

/// A reference that knows its interpreter. It can be used only while that interpreter is attached; dropped elsewhere it
/// is leaked, because no other interpreter may free the object.
pub(crate) struct Owned<T = PyAny> {
    object: ManuallyDrop<Py<T>>,
    interpreter: i64,
}

impl<T> Owned<T> {
    /// Keeps a reference to the object.
    pub(crate) fn new(object: Bound<'_, T>) -> Self {
        let interpreter = attach::current_id().unwrap_or(-1);
        Self { object: ManuallyDrop::new(object.unbind()), interpreter }
    }

    /// Returns the object, while its interpreter is attached.
    ///
    /// # Panics
    /// If another interpreter is attached: the token cannot say which one is, and this check is all that keeps the
    /// objects of two interpreters apart.
    pub(crate) fn bind<'py>(&self, py: Python<'py>) -> &Bound<'py, T> {
        assert!(attach::current_id() == Some(self.interpreter), "an object of another interpreter");
        self.object.bind(py)
    }

    /// Makes another reference, for as long as the interpreter is attached.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> Bound<'py, T> {
        self.bind(py).clone()
    }

    /// The object without a reference, for CPython's collector, which must not see counts change.
    pub(super) fn as_ptr(&self) -> *mut ffi::PyObject {
        self.object.as_ptr()
    }

    /// How many references to the object there are, this one included.
    pub(crate) fn references(&self, py: Python<'_>) -> isize {
        // SAFETY: the object is alive, and the token says that we are attached.
        unsafe { ffi::Py_REFCNT(self.bind(py).as_ptr()) }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if attach::current_id() == Some(self.interpreter) {
            // SAFETY: dropped once, here; pyo3 counts this thread as attached wherever an `Owned` can be dropped (see
            // `guard` and `attach`).
            unsafe { ManuallyDrop::drop(&mut self.object) };
        }
    }
}
