//! The Python types that the engine has in one interpreter.

use std::any::TypeId;

use pyo3::exceptions::PySystemError;
use pyo3::types::PyType;
use pyo3::{Bound, PyAny, PyResult, Python, ffi};

use super::class::{Class, Definition};
use super::instance::{allocate, this};
use super::owned::Owned;

/// The heap types of one interpreter, each found by the Rust type that its instances hold. They are few: the first ones
/// are found fastest.
#[derive(Default)]
pub(crate) struct Classes(Vec<(TypeId, Owned<PyType>)>);

impl Classes {
    /// Makes the type of a class in the attached interpreter.
    ///
    /// # Errors
    /// What CPython raises (`MemoryError`).
    pub(crate) fn add<T: Class>(&mut self, py: Python<'_>) -> PyResult<()> {
        self.0.push((TypeId::of::<T>(), Owned::new(Definition::<T>::make(py)?)));
        Ok(())
    }

    fn find<T: Class>(&self) -> Option<&Owned<PyType>> {
        self.0.iter().find(|(class, _)| *class == TypeId::of::<T>()).map(|(_, class)| class)
    }

    /// The type as a Python object.
    ///
    /// # Errors
    /// `SystemError` if the interpreter has not been given this class.
    pub(crate) fn class<'py, T: Class>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyType>> {
        let class = self.find::<T>().map(|class| class.bind(py));
        class.ok_or_else(|| PySystemError::new_err(format!("{} is not set up", T::NAME.to_string_lossy())))
    }

    /// Makes an instance that holds this value.
    ///
    /// # Errors
    /// `MemoryError`; as [`Classes::class`].
    pub(crate) fn instance<'py, T: Class>(&self, py: Python<'py>, value: T) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class::<T>(py)?.as_ptr().cast();
        // SAFETY: the type was made for this class: it is found by the class's own id.
        unsafe { allocate(py, class, value) }
    }

    /// The value of an object that is an instance of the class or of a subclass.
    pub(crate) fn value<'a, T: Class>(&self, object: &'a Bound<'_, PyAny>) -> Option<&'a T> {
        let class = self.find::<T>()?.bind(object.py());
        // SAFETY: attached, both objects are alive; looks at the real type, which `isinstance` need not.
        let is = unsafe { ffi::PyObject_TypeCheck(object.as_ptr(), class.as_ptr().cast()) } != 0;
        is.then(|| this::<T>(object).value)
    }
}
