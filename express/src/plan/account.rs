//! The user and group that the server runs as.

use nix::unistd::{Gid, Group, Uid, User};

use super::error::PlanError;

/// A user and a group, as Apache wants them and as the system knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name of the user, or `#uid` where there is none.
    pub user: String,
    /// The name of the group, or `#gid` where there is none.
    pub group: String,
    /// The id of the user.
    pub uid: u32,
    /// The id of the group.
    pub gid: u32,
}

impl Account {
    /// Finds the account that the options name, or else that of the caller, whose uid is `caller`.
    ///
    /// # Errors
    /// [`PlanError::NoAccount`] when there is no such user or group.
    pub fn find(user: Option<&str>, group: Option<&str>, caller: u32) -> Result<Self, PlanError> {
        let (name, uid, primary) = match user {
            Some(name) => {
                let found = find_user(name)?;
                (name.to_owned(), found.uid, found.gid)
            }
            // A container may run under a number that no user has.
            None => match lookup(User::from_uid(Uid::from_raw(caller))) {
                Some(found) => (found.name, found.uid, found.gid),
                None => (format!("#{caller}"), Uid::from_raw(caller), nix::unistd::getgid()),
            },
        };
        let (group, gid) = match group {
            Some(name) => (name.to_owned(), find_group(name)?),
            None => (lookup(Group::from_gid(primary)).map_or_else(|| format!("#{primary}"), |g| g.name), primary),
        };
        Ok(Self { user: name, group, uid: uid.as_raw(), gid: gid.as_raw() })
    }

    /// Whether this is the superuser.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// Returns the entry that was found; the lookup itself may fail where there is none.
fn lookup<T>(result: nix::Result<Option<T>>) -> Option<T> {
    result.ok().flatten()
}

/// Finds a service's user, given by name or `#uid`.
pub fn find_user(name: &str) -> Result<User, PlanError> {
    let found = match name.strip_prefix('#').map(str::parse) {
        Some(Ok(number)) => lookup(User::from_uid(Uid::from_raw(number))),
        _ => lookup(User::from_name(name)),
    };
    found.ok_or_else(|| PlanError::NoAccount { kind: "user", name: name.to_owned(), option: "--user" })
}

/// Finds a group, given by name or `#gid`.
pub fn find_group(name: &str) -> Result<Gid, PlanError> {
    if let Some(Ok(number)) = name.strip_prefix('#').map(str::parse) {
        return Ok(Gid::from_raw(number));
    }
    let found = lookup(Group::from_name(name)).map(|group| group.gid);
    found.ok_or_else(|| PlanError::NoAccount { kind: "group", name: name.to_owned(), option: "--group" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_by_name_and_number() {
        let root = Account::find(Some("root"), None, 1234).unwrap();
        assert_eq!((root.uid, root.gid, root.is_root()), (0, 0, true));
        assert_eq!(Account::find(Some("#0"), Some("#7"), 1234).unwrap().gid, 7);
        assert_eq!(Account::find(None, None, 54321).unwrap().user, "#54321");
        let message = Account::find(Some("nosuchuser"), None, 0).unwrap_err().to_string();
        assert!(message.contains("nosuchuser") && message.contains("--user"));
    }
}
