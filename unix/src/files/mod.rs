//! Files of others. A program with rights, root above all, opens, runs, writes and gives away nothing that somebody
//! else may have put where it looks: every directory up to `/` and the file itself belong to somebody who is trusted,
//! and nobody else may write to them. Whoever has a file to read, a program to run or a directory to make in a place
//! that a configuration names does it through here, so that there is one rule.
//!
//! * A directory that others may write to is accepted where it has the sticky bit (`/tmp`): what is in it belongs to
//!   somebody who is trusted, and nobody else can move that.
//! * A group that may write is accepted where it has no other member than the owner ([`crate::user::is_group_of`]).
//! * A link on the way is followed if it belongs to somebody who is trusted (`/var/run`); one at the end of the way is
//!   not where something is read or made.
//! * Nothing is opened before it is known to be a regular file, and then without waiting for it.
//!
//! Knows owners, permissions and links. Must not know what a file is for.

mod access;
mod beneath;
mod error;
mod make;
mod owners;
mod rights;
mod walk;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

pub use self::access::Access;
pub use self::beneath::{BeneathError, open_beneath};
pub use self::error::{FileError, Kind};
pub use self::make::{give_socket, make_directory, write};
pub use self::owners::Owners;
use self::walk::{Directory, check, ends};
use crate::user::Ids;

/// Checks that a file that another program opens or runs, and all directories above it, are as these owners made them.
/// Links of theirs may lead to it.
///
/// # Errors
/// [`FileError`], also where it is no regular file.
pub fn check_file(path: &Path, owners: &Owners) -> Result<(), FileError> {
    Directory::walk_to_file(path, owners)
}

/// Checks that what one of these owners puts into a directory stays as it is.
///
/// # Errors
/// [`FileError`], also where it is no directory.
pub fn check_directory(path: &Path, owners: &Owners) -> Result<(), FileError> {
    Directory::walk(path, owners).map(drop)
}

/// Whether this user decides what is at the end of this path, because the file itself or something on the way belongs
/// to them.
#[must_use]
pub fn is_of(path: &Path, user: u32) -> bool {
    matches!(open(path, &Owners::own()), Err(FileError::Owner { owner, .. }) if owner == user)
}

/// Reads a file of at most `max` bytes that belongs to root or to the user of this process, as do all directories
/// above it. Where something on the way belongs to `user` instead, the file is read with that user's rights: what they
/// could not read themselves they do not get.
///
/// # Errors
/// [`FileError`]
pub fn read(path: &Path, max: u64, user: Option<&Ids>) -> Result<Vec<u8>, FileError> {
    let own = Owners::own();
    match (read_here(path, max, &own), user) {
        (Err(FileError::Owner { owner, .. }), Some(user)) if owner == user.uid => {
            let theirs = own.and(user.uid);
            rights::with(user, || read_here(path, max, &theirs))
                .unwrap_or_else(|source| Err(FileError::Rights { path: path.to_owned(), user: user.uid, source }))
        }
        (outcome, _) => outcome,
    }
}

/// Reads a file as [`read`] does and lends its text to `work`: the memory is overwritten afterwards, because the text
/// may be secret.
///
/// # Errors
/// [`FileError`]
pub fn lend<T>(path: &Path, max: u64, user: Option<&Ids>, work: impl FnOnce(&[u8]) -> T) -> Result<T, FileError> {
    let mut text = read(path, max, user)?;
    let outcome = work(&text);
    text.fill(0);
    std::hint::black_box(&text);
    Ok(outcome)
}

fn read_here(path: &Path, max: u64, owners: &Owners) -> Result<Vec<u8>, FileError> {
    let file = open(path, owners)?;
    let size = file.metadata().map_err(FileError::at(path))?.len();
    if size > max {
        return Err(FileError::TooLong { path: path.to_owned(), max });
    }
    // It may still grow. One allocation of the right size: the caller may want to overwrite what was in it.
    let mut text = Vec::with_capacity(usize::try_from(max.min(size) + 1).unwrap_or_default());
    file.take(max + 1).read_to_end(&mut text).map_err(FileError::at(path))?;
    if text.len() as u64 > max { Err(FileError::TooLong { path: path.to_owned(), max }) } else { Ok(text) }
}

/// Opens a regular file for reading.
fn open(path: &Path, owners: &Owners) -> Result<File, FileError> {
    let (parent, name) = ends(path)?;
    let directory = Directory::walk(parent, owners)?;
    let failed = |error: Errno| FileError::at(path)(error.into());
    // A look first: opening a device may do something.
    let seen = statat(directory.descriptor(), name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    check_regular(path, &seen, owners)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(directory.descriptor(), name, flags, Mode::empty()).map_err(failed)?;
    check_regular(path, &fstat(&file).map_err(failed)?, owners)?;
    Ok(file.into())
}

fn check_regular(path: &Path, found: &Stat, owners: &Owners) -> Result<(), FileError> {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => check(path, Kind::File, found, owners),
        FileType::Symlink => Err(FileError::Link { path: path.to_owned() }),
        _ => Err(FileError::NotRegular { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
