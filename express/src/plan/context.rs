//! The facts that all parts of a plan are made from.

use camino::{Utf8Path, Utf8PathBuf};

use super::caller::Caller;
use super::path::Directory;
use crate::options::Options;

/// The facts that all parts of a plan are made from.
pub struct Context<'a> {
    /// The options, which have been checked.
    pub options: &'a Options,
    /// The caller's surroundings.
    pub caller: &'a Caller,
    /// The directory at which relative paths start.
    pub here: Directory<'a>,
    /// The server root.
    pub root: &'a Utf8Path,
    /// The directory that the application runs in.
    pub working_directory: Utf8PathBuf,
    /// Directories for the module search path.
    pub python_path: Vec<Utf8PathBuf>,
    /// The application's locale.
    pub locale: String,
    /// The files with variables for the application's processes.
    pub env_files: Vec<Utf8PathBuf>,
}
