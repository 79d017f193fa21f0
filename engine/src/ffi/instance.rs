//! Instances of types that are written in Rust: a Rust value behind the head of a Python object.

use std::ops::Deref;

use pyo3::{Bound, PyAny, PyResult, Python, ffi};

/// An object of such a type in memory.
#[repr(C)]
pub(super) struct Instance<T> {
    head: ffi::PyObject,
    pub(super) value: T,
}

/// `self` of a method: the Rust value, and the object around it.
pub(crate) struct This<'a, 'py, T> {
    pub(super) value: &'a T,
    /// The Python object, an instance of the class or of a subclass.
    pub(crate) object: &'a Bound<'py, PyAny>,
}

impl<T> Deref for This<'_, '_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value
    }
}

impl<'py, T> This<'_, 'py, T> {
    /// The token that every method has.
    pub(crate) fn py(&self) -> Python<'py> {
        self.object.py()
    }
}

/// The value of an instance. Only for objects that are known to be of the class.
pub(super) fn this<'a, 'py, T>(object: &'a Bound<'py, PyAny>) -> This<'a, 'py, T> {
    // SAFETY: callers have an instance of the class of `T`; its value lives as long as the object.
    let value = unsafe { &(*object.as_ptr().cast::<Instance<T>>()).value };
    This { value, object }
}

/// # Safety
/// `class` was made from a definition of `T`, or is a subclass of such a type.
pub(super) unsafe fn allocate<T>(
    py: Python<'_>,
    class: *mut ffi::PyTypeObject,
    value: T,
) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached; the class is a type.
    let object = unsafe { ffi::PyType_GenericAlloc(class, 0) };
    // SAFETY: a new reference, or null and an exception.
    let object = unsafe { Bound::from_owned_ptr_or_err(py, object) }?;
    // SAFETY: generic allocation makes room for the type's `basicsize`, which is at least an `Instance<T>`.
    let place = unsafe { &raw mut (*object.as_ptr().cast::<Instance<T>>()).value };
    // SAFETY: there is no value yet.
    unsafe { place.write(value) };
    Ok(object)
}
