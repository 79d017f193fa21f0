//! What embedded mode needs of the system where that is Windows, under the names that it has on Unix. Checked for its
//! types only (`scripts/windows`); nobody has run it.

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, OsString, c_char, c_void};
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

#[link(name = "kernel32")]
unsafe extern "system" {
    fn GetCurrentThreadId() -> u32;
    fn GetModuleFileNameW(module: *mut c_void, name: *mut u16, length: u32) -> u32;
    fn GetModuleHandleA(name: *const c_char) -> *mut c_void;
    fn GetModuleHandleExW(flags: u32, address: *const c_void, module: *mut *mut c_void) -> i32;
    fn GetProcAddress(module: *mut c_void, name: *const c_char) -> *mut c_void;
    fn LoadLibraryExW(name: *const u16, file: *mut c_void, flags: u32) -> *mut c_void;
}

#[link(name = "bcrypt")]
unsafe extern "system" {
    fn BCryptGenRandom(algorithm: *mut c_void, buffer: *mut u8, length: u32, flags: u32) -> i32;
}

/// The clock of this process: no other one reads it.
pub mod clock {
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    /// The time on a clock that never goes back.
    pub fn monotonic() -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    /// Times in records are UTC.
    pub fn utc_offset(_since_epoch: Duration) -> i32 {
        0
    }
}

/// There is no fork.
pub mod fork {
    /// Nothing has to be withheld from anybody.
    ///
    /// # Errors
    /// Never.
    pub fn begin() -> std::io::Result<()> {
        Ok(())
    }

    /// Every process is its own.
    pub fn is_ours() -> bool {
        true
    }
}

/// The size of stacks.
pub mod stack {
    /// What the system's programs have by default, which is less than Python's main thread gets.
    pub fn size() -> usize {
        1 << 20
    }
}

/// The stop of an Apache child, which waits for nobody here.
pub mod stop {
    /// Nobody has to be woken.
    pub fn begin() {}

    /// No thread waits for a process.
    pub fn has_begun() -> bool {
        false
    }
}

/// What is asked about the user of this process.
pub mod user {
    /// There is no user with all rights whose files others could have put somewhere.
    pub fn is_root() -> bool {
        false
    }
}

/// Handles under the names of descriptors.
pub mod descriptor {
    pub use std::os::windows::io::{BorrowedSocket as BorrowedFd, OwnedHandle as OwnedFd};

    /// The engine hands over no descriptors here.
    ///
    /// # Safety
    /// None is needed: the number is not looked at.
    pub unsafe fn handed_over(_number: std::ffi::c_int) -> Option<OwnedFd> {
        None
    }
}

/// The number of the calling thread.
pub fn thread_id() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { GetCurrentThreadId() }
}

/// Fills a buffer with random numbers that nobody can guess; `false` if there are none.
pub fn fill_randomly(buffer: &mut [u8]) -> bool {
    const SYSTEM_PREFERRED: u32 = 2;
    let Ok(length) = u32::try_from(buffer.len()) else { return false };
    // SAFETY: the buffer has this length; without an algorithm the system chooses one.
    unsafe { BCryptGenRandom(std::ptr::null_mut(), buffer.as_mut_ptr(), length, SYSTEM_PREFERRED) == 0 }
}

/// Text as the system has it: what httpd hands over is UTF-8.
pub fn native(text: &[u8]) -> Cow<'_, OsStr> {
    match String::from_utf8_lossy(text) {
        Cow::Borrowed(text) => Cow::Borrowed(OsStr::new(text)),
        Cow::Owned(text) => Cow::Owned(text.into()),
    }
}

/// Text of the system as httpd has it.
pub fn bytes(text: &OsStr) -> Cow<'_, [u8]> {
    match text.to_string_lossy() {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// A loaded library, which stays loaded.
#[derive(Debug, Clone, Copy)]
pub struct Library(*mut c_void);

impl Library {
    /// Loads it, with what it needs from its own directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> Result<Self, String> {
        const WITH_ALTERED_SEARCH_PATH: u32 = 8;
        let name: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
        let flags = if path.is_absolute() { WITH_ALTERED_SEARCH_PATH } else { 0 };
        // SAFETY: the name ends in NUL. Loading runs the library's own initialisers, as the interpreter's program
        // would.
        let library = unsafe { LoadLibraryExW(name.as_ptr(), std::ptr::null_mut(), flags) };
        if library.is_null() { Err(io::Error::last_os_error().to_string()) } else { Ok(Self(library)) }
    }

    /// A function of it, or null.
    pub fn symbol(self, name: &CStr) -> *mut c_void {
        // SAFETY: the library is loaded and the name is a string.
        unsafe { GetProcAddress(self.0, name.as_ptr()) }
    }
}

/// A function of the program that has loaded us, or null: those of httpd are in a library of its own.
pub fn symbol_of_program(name: &CStr) -> *mut c_void {
    // SAFETY: a string.
    let module = unsafe { GetModuleHandleA(c"libhttpd.dll".as_ptr()) };
    if module.is_null() {
        return module;
    }
    // SAFETY: the library is loaded, and stays so; the name is a string.
    unsafe { GetProcAddress(module, name.as_ptr()) }
}

/// The file of the library that something is in.
pub fn file_of<T>(something: &'static T) -> Option<PathBuf> {
    let address = std::ptr::from_ref(something).cast();
    const UNCHANGED_REFERENCE_COUNT: u32 = 2;
    const FROM_ADDRESS: u32 = 4;
    let mut module = std::ptr::null_mut();
    // SAFETY: any address may be asked about; a place for a handle.
    let found = unsafe { GetModuleHandleExW(FROM_ADDRESS | UNCHANGED_REFERENCE_COUNT, address, &raw mut module) };
    if found == 0 {
        return None;
    }
    let mut name = vec![0u16; 32 << 10];
    // SAFETY: the buffer has this length.
    let length = unsafe { GetModuleFileNameW(module, name.as_mut_ptr(), name.len() as u32) } as usize;
    (0 < length && length < name.len()).then(|| PathBuf::from(OsString::from_wide(&name[..length])))
}

/// Signals, of which no thread has to be kept free here.
pub mod signals {
    /// A set of them.
    #[derive(Debug, Clone, Copy)]
    pub struct SignalSet;

    impl SignalSet {
        /// Returns the set of all signals.
        pub fn all() -> Self {
            Self
        }

        /// Those that wait to be delivered: none.
        pub fn pending() -> Self {
            Self
        }

        /// Blocks nothing, and returns what was blocked before.
        pub fn block(&self) -> Self {
            Self
        }

        /// None is in it.
        pub fn has(&self, _signal: std::ffi::c_int) -> bool {
            false
        }
    }
}
