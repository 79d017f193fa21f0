//! `module-location`, `module-config` and `install-module`: the module in an Apache of one's own.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};
#[cfg(unix)]
use wsgi_unix::files::{self, Access, Owners};

use crate::facts::Facts;

/// The program by which the module starts its processes.
#[cfg(unix)]
const SUPERVISOR: &str = "mod_wsgi-supervisor";

/// Why the module was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is no such directory.
    #[error("the modules directory {0} does not exist: create it, or name another with --modules-directory")]
    NoDirectory(Utf8PathBuf),
    /// A file of the installation cannot be read.
    #[error("cannot read {from}: {source}; install mod_wsgi again")]
    Read {
        /// The path of the file.
        from: Utf8PathBuf,
        /// The reason of the failure.
        source: io::Error,
    },
    /// The module cannot be put into the directory, or would not be safe there.
    #[cfg(unix)]
    #[error("{0}; name another directory with --modules-directory")]
    Write(#[from] files::FileError),
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

/// Copies the module into a directory of modules, and the supervisor to where the module looks for it. Returns the
/// module's path there.
///
/// # Errors
/// [`InstallError`] when the directory is missing, belongs to somebody else or cannot be written to.
#[cfg(unix)]
pub fn install(facts: &Facts, directory: &Utf8Path) -> Result<Utf8PathBuf, InstallError> {
    let directory = directory.canonicalize_utf8().map_err(|_| InstallError::NoDirectory(directory.to_owned()))?;
    let module = directory.join(facts.module.file_name().unwrap_or_default());
    let supervisor = facts.module.with_file_name(SUPERVISOR);
    let place = place_of_supervisor(&directory);
    // The module last: without the other it is of no use.
    for (from, to, mode) in [(&supervisor, place, 0o755), (&facts.module, module.clone(), 0o644)] {
        let content = std::fs::read(from).map_err(|source| InstallError::Read { from: from.clone(), source })?;
        // What a running Apache has mapped is replaced, not written over.
        files::write(to.as_std_path(), &content, Access::of_mode(mode), &Owners::own())?;
    }
    Ok(module)
}

/// The path of the supervisor: above the directory of modules, where Apache has a helper of its own (suexec) and
/// nothing takes it for a module; beside the module where a supervisor is there already, which the module would start,
/// or where others may write to the directory above.
#[cfg(unix)]
fn place_of_supervisor(modules: &Utf8Path) -> Utf8PathBuf {
    use std::os::unix::fs::MetadataExt;

    let beside = modules.join(SUPERVISOR);
    let own = nix::unistd::geteuid().as_raw();
    let is_own =
        |directory: &&Utf8Path| directory.metadata().is_ok_and(|found| found.uid() == own && found.mode() & 0o022 == 0);
    match modules.parent().filter(is_own) {
        Some(above) if !beside.exists() => above.join(SUPERVISOR),
        _ => beside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The facts of an environment, as its Python tells them.
    fn facts(text: &str) -> Facts {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn windows_loads_the_dll_of_python_first_and_has_forward_slashes() {
        let windows = r#"{"executable": "C:\\venv\\Scripts\\python.exe", "prefix": "C:\\venv",
            "module": "C:\\venv\\Lib\\site-packages\\mod_wsgi\\server\\mod_wsgi.cp312-win_amd64.pyd", "platform": "win32",
            "windows_dll": "C:\\Program Files\\Python312\\python312.dll"}"#;
        let facts = facts(windows);
        assert_eq!(
            configuration(&facts, &facts.module),
            "LoadFile \"C:/Program Files/Python312/python312.dll\"\n\
             LoadModule wsgi_module \"C:/venv/Lib/site-packages/mod_wsgi/server/mod_wsgi.cp312-win_amd64.pyd\"\n\
             WSGIPythonHome \"C:/venv\"\n"
        );
    }

    #[test]
    fn elsewhere_a_path_is_what_it_is() {
        let unix = r#"{"executable": "/venv/bin/python", "prefix": "/odd\\venv", "platform": "linux",
            "module": "/venv/mod_wsgi.so", "libdir": "/usr/lib", "ldlibrary": "libpython3.12.so"}"#;
        let facts = facts(unix);
        let lines = "LoadModule wsgi_module \"/venv/mod_wsgi.so\"\nWSGIPythonHome \"/odd\\venv\"\n";
        assert_eq!(configuration(&facts, &facts.module), lines);
    }
}
