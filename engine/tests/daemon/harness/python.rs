//! The interpreters to test with.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use wsgi_wire::settings::Daemon;

use super::Process;

/// An interpreter.
pub struct Python {
    /// Where it is.
    pub program: PathBuf,
    version: (u32, u32),
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.version;
        write!(f, "{major}.{minor}")
    }
}

impl Python {
    /// The one that `PYTHON` names, else `python3`.
    pub fn usual() -> Self {
        let program = std::env::var_os("PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
        Self::at(&program).unwrap_or_else(|| panic!("{} is no Python; set PYTHON to one", program.display()))
    }

    /// One of each version from this one on: the usual one, those of `MOD_WSGI_TEST_PYTHONS`, and those on PATH.
    pub fn from(least: (u32, u32)) -> Vec<Self> {
        let named = std::env::var("MOD_WSGI_TEST_PYTHONS").unwrap_or_default();
        let named = named.split(':').filter(|path| !path.is_empty()).map(PathBuf::from);
        let on_path = (10..=14).map(|minor| PathBuf::from(format!("python3.{minor}")));
        let mut found = BTreeMap::from([(Self::usual().version, Self::usual())]);
        for python in named.chain(on_path).filter_map(|program| Self::at(&program)) {
            found.entry(python.version).or_insert(python);
        }
        found.into_values().filter(|python| python.version >= least).collect()
    }

    fn at(program: &Path) -> Option<Self> {
        let script = "import sys; print(*sys.version_info[:2])";
        let said = Command::new(program).args(["-c", script]).output().ok().filter(|said| said.status.success())?;
        let said = String::from_utf8(said.stdout).ok()?;
        let (major, minor) = said.trim().split_once(' ')?;
        Some(Self { program: program.into(), version: (major.parse().ok()?, minor.parse().ok()?) })
    }

    /// Starts a process with this script and waits until it is ready.
    pub fn start(&self, name: &str, script: &str, change: impl FnOnce(&mut Daemon)) -> Process {
        Process::start_with(self, name, script, change)
    }
}
