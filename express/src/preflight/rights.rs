//! The rights of a user to files, by their permissions alone.

use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};

use crate::plan::Account;

/// Rights, as the permissions of others have them.
pub struct Rights;

impl Rights {
    /// The right to read a file or list a directory.
    pub const READ: u32 = 0o4;
    /// The right to write.
    pub const WRITE: u32 = 0o2;
    /// The right to enter a directory.
    pub const ENTER: u32 = 0o1;
}

/// The first directory on the way to a file or directory that the user may not enter, or the file or directory if they
/// may not read it.
pub fn barrier(path: &Utf8Path, account: &Account) -> Option<Utf8PathBuf> {
    let mut way: Vec<_> = path.ancestors().collect();
    way.reverse();
    way.into_iter()
        .find(|step| !may(account, step, if step.is_dir() { Rights::ENTER } else { Rights::READ }))
        .map(Utf8Path::to_owned)
}

/// Whether the user has these rights, or there is nothing to have them on. Further groups of the user are not looked
/// at: they are few, and a wrong answer would stop a good server.
pub fn may(account: &Account, path: &Utf8Path, wanted: u32) -> bool {
    let Ok(found) = path.metadata() else { return true };
    let shift = match () {
        () if account.uid == 0 => return true,
        () if found.uid() == account.uid => 6,
        () if found.gid() == account.gid => 3,
        () => 0,
    };
    let has = |shift: u32| found.mode() & (wanted << shift) == wanted << shift;
    has(shift) || (shift == 0 && has(3))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::DirBuilderExt;

    use super::*;

    #[test]
    fn private_directories_stand_in_the_way() {
        let nobody = Account { user: "nobody".into(), group: "nogroup".into(), uid: 65534, gid: 65534 };
        assert_eq!(barrier("/etc/passwd".into(), &nobody), None);
        let private = std::env::temp_dir().join(format!("express-barrier-{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o700).create(&private).unwrap();
        let private = Utf8PathBuf::from_path_buf(private).unwrap();
        assert_eq!(barrier(&private.join("app.wsgi"), &nobody).as_ref(), Some(&private));
        std::fs::remove_dir(&private).unwrap();
    }
}
