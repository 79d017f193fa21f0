//! Who calls the command, and from where.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;

/// What the caller's surroundings are.
#[derive(Debug)]
pub struct Caller {
    /// The current directory.
    pub directory: Utf8PathBuf,
    /// Environment variables that are text.
    pub variables: BTreeMap<String, String>,
    /// The effective user.
    pub uid: u32,
    /// The command line, for the record.
    pub command: Vec<String>,
}

impl Caller {
    /// A variable that is set to something.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
