//! Users and groups: their numbers, their names, and who else is in a group.

use std::ffi::{CStr, CString};
use std::{fs, io};

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// The numbers that make up a user's rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// The id of the user.
    pub uid: u32,
    /// The id of the user's primary group.
    pub gid: u32,
    /// The ids of all groups of the user.
    pub groups: Vec<u32>,
}

impl Ids {
    /// Looks up the ids of a user. `groups` replaces the groups that the system knows the user in; an empty `name` is
    /// that of a number without a user, who is in no group but `gid`, which always counts.
    ///
    /// # Errors
    /// If the system does not tell the groups.
    pub fn of(uid: u32, gid: u32, name: &[u8], groups: Option<&[u32]>) -> io::Result<Self> {
        let mut groups = match groups {
            Some(groups) => groups.to_vec(),
            None if name.is_empty() => Vec::new(),
            None => groups_of(&CString::new(name)?, gid)?,
        };
        if !groups.contains(&gid) {
            groups.insert(0, gid);
        }
        Ok(Self { uid, gid, groups })
    }
}

/// Whether the rights of this process are those of root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// All groups that the system knows `user` in, and `main`.
fn groups_of(user: &CStr, main: u32) -> io::Result<Vec<u32>> {
    Ok(getgrouplist(user, Gid::from_raw(main))?.into_iter().map(Gid::as_raw).collect())
}

/// `name (uid)` for messages, or the number alone where no user has it.
#[must_use]
pub fn shown(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => format!("{} (uid {uid})", user.name),
        _ => format!("uid {uid}, which no user of this machine has"),
    }
}

/// `name (gid)` for messages, or the number alone where no group has it.
#[must_use]
pub fn group_shown(gid: u32) -> String {
    match Group::from_gid(Gid::from_raw(gid)) {
        Ok(Some(group)) => format!("{} (gid {gid})", group.name),
        _ => format!("gid {gid}"),
    }
}

/// Whether nobody but `owner`, and root, has the rights of this group: it is root's own, or nobody else is in it. The
/// groups of their own that many systems give their users, together with a umask of 002, make every directory of theirs
/// writable for the group. Users of a directory service whose login group this is are not seen; they would have to be
/// given somebody else's own group.
#[must_use]
pub fn is_group_of(owner: u32, gid: u32) -> bool {
    if gid == 0 {
        return true;
    }
    let Ok(Some(group)) = Group::from_gid(Gid::from_raw(gid)) else { return false };
    let owner_name = User::from_uid(Uid::from_raw(owner)).ok().flatten().map(|user| user.name);
    let Ok(users) = fs::read_to_string("/etc/passwd") else { return false };
    group.mem.iter().all(|member| Some(member) == owner_name.as_ref()) && all_with_group(&users, gid, owner)
}

/// Whether `owner` is the only one of these lines of `passwd(5)`, root aside, whose login group this is.
fn all_with_group(users: &str, gid: u32, owner: u32) -> bool {
    users.lines().all(|line| {
        let mut numbers = line.split(':').skip(2).map(|field| field.parse::<u32>());
        let (uid, login) = (numbers.next(), numbers.next());
        login != Some(Ok(gid)) || matches!(uid, Some(Ok(uid)) if uid == owner || uid == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_another_user_in_it_is_not_its_owners_own() {
        let users = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:50::/home/bob:/bin/sh\n";
        assert!(all_with_group(users, 1000, 1000));
        assert!(!all_with_group(users, 1000, 1001), "ann has it");
        assert!(!all_with_group(users, 50, 1000), "bob has it");
        assert!(all_with_group(users, 77, 1000), "nobody has it");
        assert!(is_group_of(12345, 0), "root may write anyway");
        assert!(!is_group_of(0, u32::MAX - 7), "nobody can tell who is in a group without an entry");
    }

    #[test]
    fn the_main_group_is_always_among_the_groups() {
        let groups = |name: &[u8], given: Option<&[u32]>| Ids::of(4711, 4712, name, given).unwrap().groups;
        assert_eq!(groups(b"", Some(&[5, 6])), [4712, 5, 6]);
        assert_eq!(groups(b"", Some(&[4712, 6])), [4712, 6]);
        assert_eq!(groups(b"", None), [4712], "a uid without a name has no other groups");
    }

    #[test]
    fn a_known_user_has_the_groups_of_the_system() {
        assert!(Ids::of(0, 0, b"root", None).unwrap().groups.contains(&0));
        assert!(shown(0).contains("root (uid 0)") && shown(54321).contains("54321"));
    }
}
