//! What the parent keeps for a supervisor, of which there is none on Windows; and where this module is.

use std::path::{Path, PathBuf};

use once_cell::sync::OnceCell;

/// There is one configuration: a restart begins with a new process.
pub fn next_generation() -> u32 {
    1
}

/// Where this module was loaded from.
pub fn module_path() -> Option<&'static Path> {
    static PLACE: OnceCell<PathBuf> = OnceCell::new();
    static ANCHOR: u8 = 0;
    PLACE.get_or_try_init(|| wsgi_unix::file_of(&ANCHOR).ok_or(())).ok().map(PathBuf::as_path)
}
