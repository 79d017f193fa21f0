//! `module-location`, `module-config` and `install-module`: the module in an Apache of one's own.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::facts::Facts;

/// Why the module was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no such folder.
    #[error("the modules directory {0} does not exist: create it, or name another with --modules-directory")]
    NoDirectory(Utf8PathBuf),
    /// A file could not be copied.
    #[error("cannot copy {from} to {to}: {source}")]
    Copy {
        /// The file.
        from: Utf8PathBuf,
        /// Its copy.
        to: Utf8PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The lines that load a module file in an Apache of one's own.
pub fn configuration(facts: &Facts, module: &Utf8Path) -> String {
    let path = |path: &Utf8Path| {
        let text = path.as_str();
        if facts.platform == "win32" { text.replace('\\', "/") } else { text.to_owned() }
    };
    let library = facts.library().map(|file| format!("LoadFile \"{}\"\n", path(&file))).unwrap_or_default();
    format!("{library}LoadModule wsgi_module \"{}\"\nWSGIPythonHome \"{}\"\n", path(module), path(&facts.prefix))
}

/// Copies the module into a folder of modules; the copy's path. The copy finds the supervisor through `WSGIPythonHome`.
///
/// # Errors
/// [`InstallError`] when the folder is missing or cannot be written to.
pub fn install(facts: &Facts, directory: &Utf8Path) -> Result<Utf8PathBuf, InstallError> {
    let directory = directory.canonicalize_utf8().map_err(|_| InstallError::NoDirectory(directory.to_owned()))?;
    let (from, to) = (&facts.module, directory.join(facts.module.file_name().unwrap_or_default()));
    // A module that is mapped by a running Apache is replaced, not written over.
    let fresh = to.with_extension("new");
    let result = fs::copy(from, &fresh).and_then(|_| fs::rename(&fresh, &to));
    result.map_err(|source| InstallError::Copy { from: from.clone(), to: to.clone(), source })?;
    Ok(to)
}
