//! Making directories and files where nobody else can interfere.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::Uid;

use super::access::Access;
use super::error::FileError;
use super::owners::Owners;
use super::walk::{Directory, ends};

/// Makes a directory, and those above it (0755) where they are missing. Returns whether it was missing before. A
/// directory that exists is left alone, whoever owns it; what is above it has to belong to `owners`.
///
/// # Errors
/// [`FileError`], also where there is something else of that name, a link to a directory among it.
pub fn make_directory(path: &Path, access: Access, owners: &Owners) -> Result<bool, FileError> {
    let (parent, name) = ends(path)?;
    let directory = Directory::walk_making(parent, owners)?;
    match statat(directory.descriptor(), name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => Ok(false),
            FileType::Symlink => Err(FileError::Link { path: path.to_owned() }),
            _ => Err(FileError::NotDirectory { path: path.to_owned() }),
        },
        Err(Errno::NOENT) => directory.make(name, access).map(|()| true),
        Err(error) => Err(FileError::at(path)(error.into())),
    }
}

/// Gives a socket that this process has bound to a user. Where others may write to the directory, they may have put
/// something else in its place by now: nothing is given away but a socket of this process's own user that has no other
/// name.
///
/// # Errors
/// Those of `open`, `fstat` and `chown`, and one for something else.
#[cfg(target_os = "linux")]
pub fn give_socket(path: &Path, user: u32) -> std::io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let socket = rustix::fs::open(path, flags, Mode::empty())?;
    let found = rustix::fs::fstat(&socket)?;
    let is_socket = FileType::from_raw_mode(found.st_mode) == FileType::Socket;
    if !is_socket || found.st_uid != rustix::process::geteuid().as_raw() || found.st_nlink != 1 {
        return Err(std::io::Error::other("somebody has put something else in its place"));
    }
    Ok(rustix::fs::chownat(&socket, "", Some(Uid::from_raw(user)), None, AtFlags::EMPTY_PATH)?)
}

/// Gives a socket that this process has bound to a user.
///
/// # Errors
/// Those of `lchown`.
#[cfg(not(target_os = "linux"))]
pub fn give_socket(path: &Path, user: u32) -> std::io::Result<()> {
    std::os::unix::fs::lchown(path, Some(user), None)
}

/// Writes a file as a whole, or leaves what was there: the text is first written under another name. What is above it
/// has to belong to `owners`; whatever had its name, a link among it, is replaced.
///
/// # Errors
/// [`FileError`]
pub fn write(path: &Path, text: &[u8], access: Access, owners: &Owners) -> Result<(), FileError> {
    let (parent, name) = ends(path)?;
    let directory = Directory::walk(parent, owners)?;
    let failed = |error: Errno| FileError::at(path)(error.into());
    let mut fresh = OsString::from(".");
    fresh.push(name);
    fresh.push(".new");
    match unlinkat(directory.descriptor(), &fresh, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(failed(error)),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(directory.descriptor(), &fresh, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    access.apply(&made, path)?;
    let written = File::from(made).write_all(text).map_err(FileError::at(path));
    let placed =
        written.and_then(|()| renameat(directory.descriptor(), &fresh, directory.descriptor(), name).map_err(failed));
    if placed.is_err() {
        // The failure before is the one to tell.
        let _ = unlinkat(directory.descriptor(), &fresh, AtFlags::empty());
    }
    placed
}
