//! `script-user` and `script-group`: only scripts of that owner, out of reach of others, may run in the group
//! (`directives.md` §4.5).
#![forbid(unsafe_code)]

/// Owner and permissions of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ownership {
    /// The user who owns the file.
    pub uid: u32,
    /// The group of the file.
    pub gid: u32,
    /// The permission bits, as `stat` has them.
    pub mode: u32,
}

/// The owner that scripts of a group must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The user that `script-user` names.
    User(u32),
    /// The group that `script-group` names.
    Group(u32),
}

/// Why a script may not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OwnerError {
    /// The script belongs to another user.
    #[error("the script does not belong to the user that script-user names")]
    ScriptUser,
    /// The script belongs to another group.
    #[error("the script does not belong to the group that script-group names")]
    ScriptGroup,
    /// Others than the owner may change the script.
    #[error("the script can be written to by others than its owner")]
    ScriptWritable,
    /// The directory belongs to another user.
    #[error("the script's directory does not belong to the user that script-user names")]
    DirectoryUser,
    /// The directory belongs to another group.
    #[error("the script's directory does not belong to the group that script-group names")]
    DirectoryGroup,
    /// Others than the owner of the directory may replace the script.
    #[error("the script's directory can be written to by others than its owner")]
    DirectoryWritable,
}

const GROUP_WRITE: u32 = 0o020;
const WORLD_WRITE: u32 = 0o002;

/// Checks a script and the directory that it is in.
///
/// # Errors
/// The first rule that is broken.
pub fn check(policy: Policy, script: Ownership, directory: Ownership) -> Result<(), OwnerError> {
    let ensure = |holds: bool, refusal| if holds { Ok(()) } else { Err(refusal) };
    match policy {
        Policy::User(uid) => {
            ensure(script.uid == uid, OwnerError::ScriptUser)?;
            ensure(script.mode & (GROUP_WRITE | WORLD_WRITE) == 0, OwnerError::ScriptWritable)?;
            ensure(directory.uid == uid, OwnerError::DirectoryUser)?;
            ensure(directory.mode & (GROUP_WRITE | WORLD_WRITE) == 0, OwnerError::DirectoryWritable)
        }
        Policy::Group(gid) => {
            ensure(script.gid == gid, OwnerError::ScriptGroup)?;
            ensure(script.mode & WORLD_WRITE == 0, OwnerError::ScriptWritable)?;
            ensure(directory.gid == gid, OwnerError::DirectoryGroup)?;
            ensure(directory.mode & WORLD_WRITE == 0, OwnerError::DirectoryWritable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of(uid: u32, gid: u32, mode: u32) -> Ownership {
        Ownership { uid, gid, mode }
    }

    #[test]
    fn each_rule_is_checked() {
        let good = of(5, 6, 0o755);
        let rows = [
            (Policy::User(5), good, good, Ok(())),
            (Policy::User(4), good, good, Err(OwnerError::ScriptUser)),
            (Policy::User(5), of(5, 6, 0o775), good, Err(OwnerError::ScriptWritable)),
            (Policy::User(5), good, of(4, 6, 0o755), Err(OwnerError::DirectoryUser)),
            (Policy::User(5), good, of(5, 6, 0o757), Err(OwnerError::DirectoryWritable)),
            (Policy::Group(6), of(1, 6, 0o775), of(2, 6, 0o775), Ok(())),
            (Policy::Group(7), good, good, Err(OwnerError::ScriptGroup)),
            (Policy::Group(6), of(5, 6, 0o757), good, Err(OwnerError::ScriptWritable)),
            (Policy::Group(6), good, of(5, 7, 0o755), Err(OwnerError::DirectoryGroup)),
            (Policy::Group(6), good, of(5, 6, 0o777), Err(OwnerError::DirectoryWritable)),
        ];
        for (policy, script, directory, expected) in rows {
            assert_eq!(check(policy, script, directory), expected, "{policy:?} {script:?} {directory:?}");
        }
    }
}
