//! What belongs to the process as a whole.

/// Sets variables of the process's environment.
pub fn set_variables(variables: &[(&'static str, Vec<u8>)]) {
    use std::os::unix::ffi::OsStrExt;
    for (name, value) in variables {
        // SAFETY: `child_init` is the only caller; httpd has not started the child's threads then.
        unsafe { std::env::set_var(name, std::ffi::OsStr::from_bytes(value)) };
    }
}
