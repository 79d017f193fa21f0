//! The users whose files and directories are trusted.

use rustix::process::geteuid;

use super::error::Kind;

/// The users whose files and directories are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owners {
    all: Vec<u32>,
    /// The users whose directories may be on the way, but neither their links nor their files.
    directories: Vec<u32>,
}

impl Owners {
    /// Trusts root, and the user that this process runs as.
    #[must_use]
    pub fn own() -> Self {
        Self { all: vec![0], directories: Vec::new() }.and(geteuid().as_raw())
    }

    /// Trusts this user as well.
    #[must_use]
    pub fn and(mut self, uid: u32) -> Self {
        if !self.all.contains(&uid) {
            self.all.push(uid);
        }
        self
    }

    /// Trusts the directories of this user as well: what is in them may be exchanged, but leads nowhere else.
    #[must_use]
    pub fn and_directories_of(mut self, uid: u32) -> Self {
        self.directories.push(uid);
        self
    }

    /// Whether something of this kind may be this user's.
    pub(super) fn include(&self, uid: u32, kind: Kind) -> bool {
        self.all.contains(&uid) || (kind == Kind::Directory && self.directories.contains(&uid))
    }
}
