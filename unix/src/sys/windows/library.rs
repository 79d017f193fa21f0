//! Libraries that are loaded by name.

use std::ffi::{CStr, OsString, c_void};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, GetModuleFileNameW,
    GetModuleHandleA, GetModuleHandleExW, GetProcAddress, LOAD_WITH_ALTERED_SEARCH_PATH, LoadLibraryExW,
};
use windows_sys::Win32::System::ProcessStatus::K32EnumProcessModules;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// The longest name of a file, in units of UTF-16.
const NAME: usize = 32 << 10;

/// How many libraries of a process are looked through.
const LIBRARIES: usize = 1024;

/// A loaded library, which stays loaded.
#[derive(Debug, Clone, Copy)]
pub struct Library(HMODULE);

impl Library {
    /// Loads it, with what it needs from its own directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> Result<Self, String> {
        let name: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
        let flags = if path.is_absolute() { LOAD_WITH_ALTERED_SEARCH_PATH } else { 0 };
        // SAFETY: the name ends in NUL. Loading runs the library's own initialisers, as the interpreter's program
        // would.
        let library = unsafe { LoadLibraryExW(name.as_ptr(), std::ptr::null_mut(), flags) };
        if library.is_null() { Err(io::Error::last_os_error().to_string()) } else { Ok(Self(library)) }
    }

    /// A function of it, or null.
    pub fn symbol(self, name: &CStr) -> *mut c_void {
        function(self.0, name)
    }
}

/// A function of a library that stays loaded, or null.
fn function(library: HMODULE, name: &CStr) -> *mut c_void {
    // SAFETY: the library is loaded and the name is a string.
    let found = unsafe { GetProcAddress(library, name.as_ptr().cast()) };
    found.map_or(std::ptr::null_mut(), |function| function as *mut c_void)
}

/// A function of the program that has loaded us, or null: those of httpd are in a library of its own.
pub fn symbol_of_program(name: &CStr) -> *mut c_void {
    // SAFETY: a string.
    let library = unsafe { GetModuleHandleA(c"libhttpd.dll".as_ptr().cast()) };
    if library.is_null() { library } else { function(library, name) }
}

/// A function of any library of the process, or null: libraries are searched in the order in which they were loaded.
pub fn symbol_of_process(name: &CStr) -> *mut c_void {
    let mut libraries = [std::ptr::null_mut(); LIBRARIES];
    let (room, mut needed) = (size_of_val(&libraries) as u32, 0);
    // SAFETY: takes nothing; what it gives need not be closed.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the list has this size, in bytes; a place for a number.
    if unsafe { K32EnumProcessModules(process, libraries.as_mut_ptr(), room, &raw mut needed) } == 0 {
        return std::ptr::null_mut();
    }
    let found = needed as usize / size_of::<HMODULE>();
    let functions = libraries.iter().take(found).map(|library| function(*library, name));
    functions.into_iter().find(|function| !function.is_null()).unwrap_or(std::ptr::null_mut())
}

/// The file of the library that something is in.
pub fn file_of<T>(something: &'static T) -> Option<PathBuf> {
    let address = std::ptr::from_ref(something).cast();
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    let mut library = std::ptr::null_mut();
    // SAFETY: any address may be asked about; a place for a handle.
    if unsafe { GetModuleHandleExW(flags, address, &raw mut library) } == 0 {
        return None;
    }
    let mut name = vec![0u16; NAME];
    // SAFETY: the buffer has this length.
    let length = unsafe { GetModuleFileNameW(library, name.as_mut_ptr(), name.len() as u32) } as usize;
    (0 < length && length < name.len()).then(|| PathBuf::from(OsString::from_wide(&name[..length])))
}
