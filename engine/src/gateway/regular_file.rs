//! The regular file below a `wsgi.file_wrapper`, which Apache sends itself.

use pyo3::types::PyAnyMethods;
use pyo3::{Bound, PyAny};
use rustix::fs::{FileType, fstat};
use wsgi_unix::descriptor::{self, OwnedFd};
use wsgi_unix::user_space;

use crate::gateway::file_wrapper::FileWrapper;
use crate::interpreter::Interpreter;

/// A regular file, and the part of it that is to be sent.
pub(crate) struct Regular {
    /// A descriptor of this process's own for the file.
    pub(crate) file: OwnedFd,
    /// The position of the file.
    pub(crate) offset: u64,
    /// The number of bytes from there to its end.
    pub(crate) available: u64,
}

/// Returns the regular file below a wrapper, if Apache can send it and nobody will see a difference. `None` means that
/// it has to be read: objects that only look like a file (`gzip`, `zipfile`, a proxy that decrypts), text files, and
/// files whose size is not known before they are read.
pub(crate) fn below(interpreter: &Interpreter, wrapper: &Bound<'_, PyAny>) -> Option<Regular> {
    let py = wrapper.py();
    let class = interpreter.classes.class::<FileWrapper>(py).ok()?;
    let file = interpreter.prelude.bind(py).call_method1("file_below", (wrapper, class)).ok()?;
    let number: i32 = file.call_method0("fileno").ok()?.extract().ok()?;
    let offset: u64 = file.call_method0("tell").ok()?.extract().ok()?;
    let own = descriptor::duplicate(number)?;
    let stat = fstat(&own).ok()?;
    // A file that takes no place on a disk is made up while it is read, as those in /proc and /sys are: they say 0 or
    // 4096, whatever they have.
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_blocks == 0 {
        return None;
    }
    if user_space::serves(&own) {
        return None;
    }
    let available = u64::try_from(stat.st_size).ok()?.saturating_sub(offset);
    Some(Regular { file: own, offset, available })
}
