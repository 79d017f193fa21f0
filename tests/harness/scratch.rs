//! A scratch directory that other users can look into.

use crate::processes;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory for one test, removed at its end. Its path is short because a unix socket's path has at most 107 bytes,
/// and everybody may enter it because daemons run as another user.
pub struct Scratch {
    dir: TempDir,
}

impl Scratch {
    /// A new directory `/tmp/w……`, mode 0755.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("w").rand_bytes(6).tempdir_in("/tmp").expect("a directory in /tmp");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("mode 0755");
        Self { dir }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Makes a directory in it.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }

    /// Writes one file (mode 0755, directories as needed) and gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        fs::write(&path, content).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("mode 0755");
        path
    }

    /// Gives the directory and all that is in it to a user, so that a server of that user may write there.
    pub fn give_to(&self, user: &str) {
        self.give("", user);
    }

    /// Gives one file or directory of it, with all that is in that, to a user.
    pub fn give(&self, name: &str, user: &str) {
        let (uid, gid) = processes::ids(user);
        give(&self.path().join(name), uid, gid);
    }

    /// Sets the permissions of one file or directory of it.
    pub fn set_mode(&self, name: &str, mode: u32) {
        let path = self.path().join(name);
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

fn give(path: &Path, uid: u32, gid: u32) {
    lchown(path, Some(uid), Some(gid)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("a readable directory").flatten() {
            give(&entry.path(), uid, gid);
        }
    }
}
