//! The permissions and the owner of a directory or file that is made.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, fchmod, fchown};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::error::FileError;

/// The permissions and the owner of what is made; the umask does not change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The permissions of the file.
    pub mode: u32,
    /// The user and group that it is given to; `None` for the caller's own.
    pub owner: Option<(u32, u32)>,
}

impl Access {
    /// Access with these permissions, for the caller.
    #[must_use]
    pub fn of_mode(mode: u32) -> Self {
        Self { mode, owner: None }
    }

    /// Access for another user and group.
    #[must_use]
    pub fn given_to(self, uid: u32, gid: u32) -> Self {
        Self { owner: Some((uid, gid)), ..self }
    }

    /// Gives what was just made its permissions and its owner.
    pub(super) fn apply(self, made: &OwnedFd, path: &Path) -> Result<(), FileError> {
        let failed = |error: Errno| FileError::at(path)(error.into());
        // The mode first: afterwards it may be somebody else's. Giving away takes set-id bits, of which there are none.
        fchmod(made, Mode::from_raw_mode(self.mode as _)).map_err(failed)?;
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        fchown(made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(failed)
    }
}
