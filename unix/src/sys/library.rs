//! Libraries that are loaded by name.

use std::ffi::{CStr, CString, OsStr, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A loaded library, which stays loaded.
#[derive(Debug, Clone, Copy)]
pub struct Library(*mut c_void);

impl Library {
    /// Loads it; its symbols become visible to libraries that are loaded later.
    ///
    /// # Errors
    /// What the system's loader says.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: loading runs the library's own initialisers, as the interpreter's program would.
        let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if !library.is_null() {
            return Ok(Self(library));
        }
        // SAFETY: takes nothing; the message is this thread's.
        let message = unsafe { libc::dlerror() };
        if message.is_null() {
            return Err(String::new());
        }
        // SAFETY: a string that lives until the next call of this thread.
        Err(unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned())
    }

    /// A function of it, or null.
    pub fn symbol(self, name: &CStr) -> *mut c_void {
        // SAFETY: the library is loaded and the name is a string.
        unsafe { libc::dlsym(self.0, name.as_ptr()) }
    }
}

/// A function of the program that has loaded us, or null.
pub fn symbol_of_program(name: &CStr) -> *mut c_void {
    // SAFETY: the name is a string.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }
}

/// A function of any library of the process, or null.
pub fn symbol_of_process(name: &CStr) -> *mut c_void {
    symbol_of_program(name)
}

/// The file of the library that something is in, as it was named when it was loaded.
pub fn file_of<T>(something: &'static T) -> Option<PathBuf> {
    let address = std::ptr::from_ref(something).cast();
    let (text, place) = (std::ptr::null(), std::ptr::null_mut());
    let mut info = libc::Dl_info { dli_fname: text, dli_fbase: place, dli_sname: text, dli_saddr: place };
    // SAFETY: any address may be asked about; the record has room for the answer.
    if unsafe { libc::dladdr(address, &raw mut info) } == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the name is the loader's and lives while the library is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_has_a_reason_and_one_that_is_has_functions() {
        let error = Library::open(Path::new("/nowhere/lib.so")).unwrap_err();
        assert!(error.contains("/nowhere/lib.so"), "{error}");
        assert!(!Library::open(Path::new("libc.so.6")).unwrap().symbol(c"getpid").is_null());
        static HERE: u8 = 0;
        assert!(file_of(&HERE).unwrap().to_str().unwrap().contains("wsgi_unix"));
        assert!(!symbol_of_program(c"getpid").is_null() && symbol_of_program(c"no_such_function").is_null());
    }
}
