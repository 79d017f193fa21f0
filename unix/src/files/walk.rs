//! Walks from `/` to a directory, one component after the other, so that nobody can exchange what has been checked.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, mkdirat, open, openat, readlinkat, statat};
use rustix::io::Errno;

use super::access::Access;
use super::error::{FileError, Kind, Writer};
use super::owners::Owners;
use crate::user::is_group_of;

/// How many links are followed: as many as the kernel follows.
const MOST_LINKS: u32 = 40;

/// The flags by which a directory is opened: only the right to enter it is needed.
#[cfg(target_os = "linux")]
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What has to be at the end of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// A directory has to be there.
    Directory,
    /// A directory, which is made where it is missing, as are those on the way.
    MadeDirectory,
    /// A regular file.
    File,
}

/// The result of a look at a name.
enum Step {
    /// There is a directory, which has been entered.
    Directory,
    /// There is a link that leads to this path.
    Link(PathBuf),
    /// There is a regular file.
    File,
}

/// A directory whose way from `/` has been checked.
#[derive(Debug)]
pub struct Directory {
    /// The descriptors of the directories on the way, `/` first and this one last: a link may lead back by `..`.
    way: Vec<OwnedFd>,
    root: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Walks to the directory.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn walk(path: &Path, owners: &Owners) -> Result<Self, FileError> {
        Self::go(path, owners, End::Directory)
    }

    /// Walks to the directory, and makes the directories that are missing.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn walk_making(path: &Path, owners: &Owners) -> Result<Self, FileError> {
        Self::go(path, owners, End::MadeDirectory)
    }

    /// Walks to a regular file; links at the end of the path are followed, too.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn walk_to_file(path: &Path, owners: &Owners) -> Result<(), FileError> {
        Self::go(path, owners, End::File).map(drop)
    }

    fn go(path: &Path, owners: &Owners, end: End) -> Result<Self, FileError> {
        let mut directory = Self::root(path, owners)?;
        let mut ahead = components(path);
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            let target = match directory.step(&name, owners, end)? {
                Step::Directory => None,
                Step::Link(target) => Some(target),
                Step::File if end == End::File && ahead.is_empty() => return Ok(directory),
                Step::File => return Err(FileError::NotDirectory { path: directory.path.join(name) }),
            };
            if let Some(target) = target {
                links += 1;
                if links > MOST_LINKS {
                    return Err(FileError::Loop { path: path.to_owned() });
                }
                if target.is_absolute() {
                    directory = Self::root(&target, owners)?;
                }
                for name in components(&target).into_iter().rev() {
                    ahead.push_front(name);
                }
            }
        }
        if end == End::File { Err(FileError::NotRegular { path: directory.path }) } else { Ok(directory) }
    }

    /// The directory `/`, for a path that begins there.
    fn root(path: &Path, owners: &Owners) -> Result<Self, FileError> {
        if !path.is_absolute() {
            return Err(FileError::Relative { path: path.to_owned() });
        }
        let top = Path::new("/");
        let root = open(top, DIRECTORY, Mode::empty()).map_err(|error| FileError::at(top)(error.into()))?;
        let found = fstat(&root).map_err(|error| FileError::at(top)(error.into()))?;
        check(top, Kind::Directory, &found, owners)?;
        Ok(Self { way: Vec::new(), root, path: top.to_owned() })
    }

    /// The descriptor of the directory.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.way.last().unwrap_or(&self.root).as_fd()
    }

    /// The path of the directory, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in it that is not there.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn make(&self, name: &OsStr, access: Access) -> Result<(), FileError> {
        let path = self.path().join(name);
        let failed = |error: Errno| FileError::at(&path)(error.into());
        mkdirat(self.descriptor(), name, Mode::RWXU).map_err(failed)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(self.descriptor(), name, flags, Mode::empty()).map_err(failed)?;
        access.apply(&made, &path)
    }

    /// Looks at the entry of that name, and enters it where it is a directory.
    fn step(&mut self, name: &OsStr, owners: &Owners, end: End) -> Result<Step, FileError> {
        if name == ".." {
            self.way.pop();
            self.path.pop();
            return Ok(Step::Directory);
        }
        let path = self.path.join(name);
        let failed = |error: Errno| FileError::at(&path)(error.into());
        let look = || statat(self.descriptor(), name, AtFlags::SYMLINK_NOFOLLOW);
        let seen = match look() {
            Err(Errno::NOENT) if end == End::MadeDirectory => {
                self.make(name, Access::of_mode(0o755))?;
                look()
            }
            seen => seen,
        };
        let seen = seen.map_err(failed)?;
        match FileType::from_raw_mode(seen.st_mode) {
            FileType::Directory => {
                let entered = openat(self.descriptor(), name, DIRECTORY, Mode::empty()).map_err(failed)?;
                check(&path, Kind::Directory, &fstat(&entered).map_err(failed)?, owners)?;
                self.way.push(entered);
                self.path = path;
                Ok(Step::Directory)
            }
            FileType::Symlink => {
                check(&path, Kind::Link, &seen, owners)?;
                let target = readlinkat(self.descriptor(), name, Vec::new()).map_err(failed)?;
                Ok(Step::Link(PathBuf::from(OsString::from_vec(target.into_bytes()))))
            }
            FileType::RegularFile => check(&path, Kind::File, &seen, owners).map(|()| Step::File),
            _ if end == End::File => Err(FileError::NotRegular { path }),
            _ => Err(FileError::NotDirectory { path }),
        }
    }
}

/// Splits a path into the directory that it is in, and its name there.
pub fn ends(path: &Path) -> Result<(&Path, &OsStr), FileError> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(FileError::NotRegular { path: path.to_owned() }),
    }
}

/// The names in a path, which is known to begin at `/`.
fn components(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    names.map(|part| part.as_os_str().to_owned()).collect()
}

/// Checks that what was found belongs to one of these owners, and that nobody else may write to it.
pub fn check(path: &Path, kind: Kind, found: &Stat, owners: &Owners) -> Result<(), FileError> {
    let (mode, owner) = (found.st_mode, found.st_uid);
    if !owners.include(owner, kind) {
        return Err(FileError::Owner { kind, path: path.to_owned(), owner });
    }
    // The bits of a link say nothing. A sticky directory may be written to, but what is in it is its owner's.
    if kind == Kind::Link || (kind == Kind::Directory && mode & 0o1000 != 0) {
        return Ok(());
    }
    let writable = |writer| Err(FileError::Writable { kind, path: path.to_owned(), writer });
    if mode & 0o002 != 0 {
        return writable(Writer::Everybody);
    }
    if mode & 0o020 != 0 && !is_group_of(owner, found.st_gid) {
        return writable(Writer::Group(found.st_gid));
    }
    Ok(())
}
