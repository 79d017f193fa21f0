//! Which CPython runs here, and those of its functions that the stable ABI lacks.

use std::ffi::{CStr, c_void};
use std::sync::OnceLock;

use pyo3::ffi;

/// Version of the running Python, major and minor.
pub(crate) fn version() -> (u32, u32) {
    static ANSWER: OnceLock<(u32, u32)> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        // SAFETY: may be called at any time.
        let version = unsafe { ffi::Py_GetVersion() };
        // SAFETY: a static string, "3.12.1 (main, …".
        let version = unsafe { CStr::from_ptr(version) }.to_string_lossy();
        let mut numbers = version.split(['.', ' ', '+']).map(|n| n.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    })
}

/// A function of CPython that the stable ABI lacks.
pub(super) fn symbol(name: &CStr) -> Option<*mut c_void> {
    let found = wsgi_unix::symbol_of_process(name);
    (!found.is_null()).then_some(found)
}
