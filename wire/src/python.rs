//! The parts of CPython's C API that both halves have to know and that its stable ABI leaves out. Layouts only: neither
//! half is linked with Python by this.

use std::ffi::{c_char, c_int};

/// `PyStatus` of `cpython/initconfig.h`, the same from 3.8 on.
#[derive(Debug)]
#[repr(C)]
pub struct PyStatus {
    /// 0 for success, 1 for an error, 2 for an exit.
    pub kind: c_int,
    /// The function that failed, or null.
    pub function: *const c_char,
    /// The message of an error, or null.
    pub message: *const c_char,
    /// The exit code of an exit.
    pub exit_code: c_int,
}
