//! The arguments of methods that are written in Rust.

use pyo3::exceptions::PyTypeError;
use pyo3::{Bound, PyAny, PyResult, Python, ffi};

/// Positional arguments of a method.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a, 'py> {
    py: Python<'py>,
    pointers: &'a [*mut ffi::PyObject],
    /// Whether there were keyword arguments, too.
    keywords: bool,
}

impl<'a, 'py> Args<'a, 'py> {
    /// The arguments that CPython passes to a method with this convention.
    ///
    /// # Safety
    /// There are `count` live objects at `arguments`, for the time of the call.
    pub(super) unsafe fn new(
        py: Python<'py>,
        arguments: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        keywords: bool,
    ) -> Self {
        let pointers: &[_] = match count {
            0 => &[],
            // SAFETY: the caller's promise.
            _ => unsafe { std::slice::from_raw_parts(arguments, count as usize) },
        };
        Self { py, pointers, keywords }
    }

    /// Returns the argument at this position.
    pub(crate) fn get(&self, at: usize) -> Option<Bound<'py, PyAny>> {
        // SAFETY: CPython passes live objects for the time of the call.
        self.pointers.get(at).map(|p| unsafe { Bound::from_borrowed_ptr(self.py, *p) })
    }

    /// Returns the argument at this position, of at most `max`.
    ///
    /// # Errors
    /// `TypeError` in CPython's words if it is missing or there are too many.
    pub(crate) fn required(&self, function: &str, at: usize, min: usize, max: usize) -> PyResult<Bound<'py, PyAny>> {
        self.count(function, min, max)?;
        self.get(at).ok_or_else(|| PyTypeError::new_err(format!("{function}() misses argument {}", at + 1)))
    }

    /// Checks that there are no arguments.
    ///
    /// # Errors
    /// `TypeError` in CPython's words.
    pub(crate) fn none(&self, function: &str) -> PyResult<()> {
        match self.pointers.len() {
            0 => Ok(()),
            given => Err(PyTypeError::new_err(format!("{function}() takes no arguments ({given} given)"))),
        }
    }

    /// Checks the number of arguments.
    ///
    /// # Errors
    /// `TypeError` in CPython's words.
    pub(crate) fn count(&self, function: &str, min: usize, max: usize) -> PyResult<()> {
        if self.keywords {
            return Err(PyTypeError::new_err(format!("{function}() takes no keyword arguments")));
        }
        let given = self.pointers.len();
        if max == 0 && given > 0 {
            return Err(PyTypeError::new_err(format!("{function}() takes no arguments ({given} given)")));
        }
        let (bound, number) = match () {
            () if given < min => (if min == max { "exactly" } else { "at least" }, min),
            () if given > max => (if min == max { "exactly" } else { "at most" }, max),
            () => return Ok(()),
        };
        let plural = if number == 1 { "" } else { "s" };
        Err(PyTypeError::new_err(format!("{function}() takes {bound} {number} argument{plural} ({given} given)")))
    }
}
