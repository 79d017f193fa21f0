//! The facts that the Python interpreter of the command says of itself.

use std::path::PathBuf;
use std::process::Command;

use camino::Utf8PathBuf;
use serde::Deserialize;

/// The variable in which the Python front of the command hands the facts over. It goes no further than here.
const VARIABLE: &str = "MOD_WSGI_EXPRESS_FACTS";

/// The interpreter and the installation of the package.
#[derive(Clone, Debug, Deserialize)]
pub struct Facts {
    /// The path of the interpreter: `sys.executable`.
    pub executable: Utf8PathBuf,
    /// The virtual environment: `sys.prefix`.
    pub prefix: Utf8PathBuf,
    /// The directory of Python's library: `LIBDIR`.
    #[serde(default)]
    pub libdir: Option<Utf8PathBuf>,
    /// The file name of Python's library: `LDLIBRARY`.
    #[serde(default)]
    pub ldlibrary: Option<Utf8PathBuf>,
    /// Whether Python is a dylib that has to be loaded (macOS).
    #[serde(default)]
    pub with_dyld: bool,
    /// Whether this is a free-threaded Python.
    #[serde(default)]
    pub gil_disabled: bool,
    /// The path of the Apache module.
    pub module: Utf8PathBuf,
    /// Further import paths, where the command runs from a zipapp.
    #[serde(default)]
    pub site_packages: Vec<Utf8PathBuf>,
    /// The platform: `sys.platform`.
    pub platform: String,
    /// `python3.dll` or the like, on Windows.
    #[serde(default)]
    pub windows_dll: Option<Utf8PathBuf>,
}

/// Why the facts cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// There is no interpreter.
    #[error(
        "no Python found to ask about its environment: run the mod_wsgi-express of a Python environment, or set MOD_WSGI_PYTHON"
    )]
    NoPython,
    /// The interpreter has no mod_wsgi.
    #[error("{python:?} cannot describe its mod_wsgi: install mod_wsgi in that environment\n{reason}")]
    NoPackage {
        /// The path of the interpreter.
        python: PathBuf,
        /// The output of the interpreter.
        reason: String,
    },
    /// The answer is not understood.
    #[error("the description of the Python environment is not understood ({0}): install mod_wsgi again")]
    Malformed(#[from] serde_json::Error),
}

impl Facts {
    /// Collects the facts: those handed over by the Python front, or else the answer of `$MOD_WSGI_PYTHON` or of the
    /// Python nearby.
    ///
    /// # Errors
    /// [`FactsError`] when there is no interpreter or it has no mod_wsgi.
    pub fn collect() -> Result<Self, FactsError> {
        match std::env::var(VARIABLE) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(_) => Ok(serde_json::from_str(&ask()?)?),
        }
    }

    /// The library that has to be loaded before the module: macOS and Windows only.
    pub fn library(&self) -> Option<Utf8PathBuf> {
        if self.platform == "win32" {
            return self.windows_dll.clone();
        }
        let (libdir, ldlibrary) = (self.libdir.as_ref()?, self.ldlibrary.as_ref()?);
        Some(libdir.join(ldlibrary)).filter(|path| self.with_dyld && path.exists())
    }

    /// Removes the facts from the environment of a command, and what is said of sockets that are for Apache alone.
    pub fn hide_from(command: &mut Command) -> &mut Command {
        #[cfg(unix)]
        for name in wsgi_unix::passed::VARIABLES {
            command.env_remove(name);
        }
        command.env_remove(VARIABLE)
    }
}

fn ask() -> Result<String, FactsError> {
    let named = std::env::var_os("MOD_WSGI_PYTHON").map(PathBuf::from);
    // Installed as <prefix>/lib/pythonX.Y/site-packages/mod_wsgi/server/mod_wsgi-express.
    let nearby = std::env::current_exe().ok().and_then(|exe| Some(exe.ancestors().nth(6)?.join("bin/python3")));
    let python = named
        .or_else(|| nearby.filter(|python| python.is_file()))
        .unwrap_or_else(|| PathBuf::from(if cfg!(windows) { "python" } else { "python3" }));
    let output =
        Command::new(&python).args(["-m", "mod_wsgi.express.facts"]).output().map_err(|_| FactsError::NoPython)?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(FactsError::NoPackage { python, reason });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
