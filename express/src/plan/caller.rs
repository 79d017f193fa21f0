//! The caller of the command, and the caller's environment.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

/// The caller's environment.
#[derive(Debug)]
pub struct Caller {
    /// The current directory.
    pub directory: Utf8PathBuf,
    /// The environment variables that are text.
    pub variables: BTreeMap<String, String>,
    /// The effective user.
    pub uid: u32,
    /// The command line, to be mentioned in files.
    pub command: Vec<String>,
}

impl Caller {
    /// The value of a variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
