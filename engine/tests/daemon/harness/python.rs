//! The interpreters to test with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        let script = "import sys; print('%d.%d' % sys.version_info[:2])";
        let said = Command::new(&program).args(["-c", script]).output().ok().map(|said| said.stdout);
        let version = said.and_then(|said| version(String::from_utf8(said).ok()?.trim()));
        let version = version.unwrap_or_else(|| panic!("{} is no Python; set PYTHON to one", program.display()));
        Self { program, version }
    }

    /// One of each version from this one on (`scripts/find-pythons`).
    pub fn from(min: (u32, u32)) -> Vec<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/find-pythons");
        let said = Command::new(&script).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        let found = said.lines().filter_map(|line| line.split_once(' '));
        let found = found.filter_map(|(v, program)| Some(Self { program: program.into(), version: version(v)? }));
        found.filter(|python| python.version >= min).collect()
    }
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
