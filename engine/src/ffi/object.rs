//! Calls of the C API that pyo3 has no safe form of, or none without a detour.

use std::borrow::Cow;
use std::ffi::{c_char, c_long};

use pyo3::ffi;
use pyo3::types::{
    PyAnyMethods, PyBytes, PyBytesMethods, PyDict, PyList, PyListMethods, PyModule, PyString, PyStringMethods, PyTuple,
    PyTupleMethods, PyType, PyTypeMethods,
};
use pyo3::{Bound, PyAny, PyErr, PyResult, Python};

/// Makes a Python text of latin-1 bytes: the native string of WSGI.
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let (start, length) = (bytes.as_ptr().cast::<c_char>(), bytes.len() as isize);
    // SAFETY: attached; that many bytes are read.
    let text = unsafe { ffi::PyUnicode_DecodeLatin1(start, length, c"strict".as_ptr()) };
    // SAFETY: a new reference, or null and an exception.
    let text = unsafe { Bound::from_owned_ptr_or_err(py, text) }?;
    // SAFETY: it is a str.
    Ok(unsafe { text.cast_into_unchecked() })
}

/// Makes a Python text of a path, as Python decodes file names.
pub(crate) fn path<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let (start, length) = (bytes.as_ptr().cast::<c_char>(), bytes.len() as isize);
    // SAFETY: attached; that many bytes are read.
    let text = unsafe { ffi::PyUnicode_DecodeFSDefaultAndSize(start, length) };
    // SAFETY: a new reference, or null and an exception.
    let text = unsafe { Bound::from_owned_ptr_or_err(py, text) }?;
    // SAFETY: it is a str.
    Ok(unsafe { text.cast_into_unchecked() })
}

/// The latin-1 bytes of a text.
///
/// # Errors
/// `UnicodeEncodeError` for characters above 255.
pub(crate) fn to_latin1<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    // Nearly all are ASCII, whose bytes CPython has at hand.
    if let Some(ascii) = text.to_str().ok().filter(|text| text.is_ascii()) {
        return Ok(ascii.as_bytes().into());
    }
    // SAFETY: attached; it is a str.
    let bytes = unsafe { ffi::PyUnicode_AsLatin1String(text.as_ptr()) };
    // SAFETY: a new reference, or null and an exception.
    let bytes = unsafe { Bound::from_owned_ptr_or_err(text.py(), bytes) }?;
    // SAFETY: they are bytes.
    let bytes = unsafe { bytes.cast_into_unchecked::<PyBytes>() };
    Ok(bytes.as_bytes().to_vec().into())
}

/// The item of a dict for a text, without creating exceptions or calling `__hash__` of user types.
pub(crate) fn dict_get<'py>(
    dict: &Bound<'py, PyDict>,
    key: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    // SAFETY: attached; a dict and an object.
    let item = unsafe { ffi::PyDict_GetItemWithError(dict.as_ptr(), key.as_ptr()) };
    // SAFETY: a borrowed reference or null, with an exception only if hashing failed.
    match unsafe { Bound::from_borrowed_ptr_or_opt(dict.py(), item) } {
        Some(item) => Ok(Some(item)),
        None => PyErr::take(dict.py()).map_or(Ok(None), Err),
    }
}

/// Runs code as a module of this name: it stands in `sys.modules` while it runs and is taken out again if it fails.
pub(crate) fn execute_module<'py>(
    name: &Bound<'py, PyString>,
    code: &Bound<'py, PyAny>,
    file: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyModule>> {
    let path = std::ptr::null_mut();
    // SAFETY: attached; live objects.
    let module = unsafe { ffi::PyImport_ExecCodeModuleObject(name.as_ptr(), code.as_ptr(), file.as_ptr(), path) };
    // SAFETY: a new reference, or null and an exception.
    let module = unsafe { Bound::from_owned_ptr_or_err(name.py(), module) }?;
    // SAFETY: it is a module.
    Ok(unsafe { module.cast_into_unchecked() })
}

/// A new exception class derived from this one.
pub(crate) fn exception<'py>(
    base: &Bound<'py, PyType>,
    name: &std::ffi::CStr,
    doc: &std::ffi::CStr,
) -> PyResult<Bound<'py, PyType>> {
    let (py, base) = (base.py(), base.as_ptr());
    // SAFETY: attached; both texts are strings, and the base is a class.
    let class = unsafe { ffi::PyErr_NewExceptionWithDoc(name.as_ptr(), doc.as_ptr(), base, std::ptr::null_mut()) };
    // SAFETY: a new reference, or null and an exception.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, class) }?;
    // SAFETY: it is a class.
    Ok(unsafe { class.cast_into_unchecked() })
}

/// Raises an exception in another thread of the attached interpreter, or takes back one that has not been raised yet.
pub(crate) fn set_async_exception(_py: Python<'_>, thread: u64, exception: Option<&Bound<'_, PyType>>) {
    let exception = exception.map_or(std::ptr::null_mut(), |e| e.as_ptr());
    // SAFETY: attached; an unknown thread is ignored.
    unsafe { ffi::PyThreadState_SetAsyncExc(thread as c_long, exception) };
}

/// The number that Python gives to the calling thread (`threading.get_ident`).
pub(crate) fn thread_ident() -> u64 {
    // SAFETY: always allowed.
    unsafe { ffi::PyThread_get_thread_ident() as u64 }
}

/// Whether an object is exactly a list or exactly a tuple, whose items can be looked at without running Python code.
pub(crate) fn has_items(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyList>() || object.is_exact_instance_of::<PyTuple>()
}

/// The items of such an object; `None` for any other.
pub(crate) fn items<'py>(object: &Bound<'py, PyAny>) -> Option<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = object.cast_exact::<PyList>() {
        return Some(list.iter().collect());
    }
    object.cast_exact::<PyTuple>().ok().map(|tuple| tuple.iter().collect())
}

/// The class of an object, as messages name it.
pub(crate) fn class_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}
