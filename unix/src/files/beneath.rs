//! Files below a directory that an application, or somebody else who is not trusted, names.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open, openat, readlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// How many links are followed: as many as the kernel follows.
const MOST_LINKS: usize = 40;

/// Why a file below a directory is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BeneathError {
    /// The way leads out of the directory, by `..` or by a link.
    #[error("it leads out of that directory")]
    Outside,
    /// It is no regular file, but a directory, a pipe or a device.
    #[error("it is no regular file")]
    NotRegular,
    /// The system refuses to open it.
    #[error("{0}")]
    Failed(Errno),
}

impl From<Errno> for BeneathError {
    fn from(error: Errno) -> Self {
        if error == Errno::XDEV { Self::Outside } else { Self::Failed(error) }
    }
}

/// Opens a regular file for reading that is below the directory all the way: links are followed as long as they stay
/// inside. Nothing is opened before it is known to be a regular file. A link on the way to the directory itself must
/// belong to root, to the user of this process, or to the owner of the directory it leads to: what is above the
/// directory may be somebody's who could put a link in its place.
///
/// # Errors
/// [`BeneathError`]
pub fn open_beneath(directory: &Path, rest: &Path) -> Result<(OwnedFd, Stat), BeneathError> {
    let place = find(open_directory(directory)?, rest)?;
    let stat = fstat(&place)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(BeneathError::NotRegular);
    }
    Ok((readable(place)?, stat))
}

#[cfg(target_os = "linux")]
const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const PLACE: OFlags = OFlags::NONBLOCK.union(OFlags::CLOEXEC);

/// Opens the directory itself.
fn open_directory(directory: &Path) -> Result<OwnedFd, BeneathError> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, ResolveFlags, openat2};
        // Mostly there is no link.
        if let Ok(found) = openat2(CWD, directory, PLACE | OFlags::DIRECTORY, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        {
            return Ok(found);
        }
    }
    let top = || open("/", PLACE | OFlags::DIRECTORY, Mode::empty());
    let (mut at, mut owners) = (top()?, Vec::new());
    let mut ahead: Vec<OsString> = names(directory).rev().collect();
    while let Some(name) = ahead.pop() {
        match link(&at, &name)? {
            Some((owner, target)) => {
                owners.push(owner);
                if owners.len() > MOST_LINKS {
                    return Err(Errno::LOOP.into());
                }
                if target.is_absolute() {
                    at = top()?;
                }
                ahead.extend(names(&target).rev());
            }
            None => at = openat(&at, &name, PLACE | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?,
        }
    }
    let trusted = [0, geteuid().as_raw(), fstat(&at)?.st_uid];
    if owners.iter().all(|owner| trusted.contains(owner)) { Ok(at) } else { Err(BeneathError::Outside) }
}

/// The names in a path, which begins at `/` or at the current directory.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    let names = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    names.map(|part| part.as_os_str().to_owned())
}

/// The owner of the link under that name, if there is one, and where it leads to.
#[cfg(target_os = "linux")]
fn link(at: &OwnedFd, name: &OsStr) -> Result<Option<(u32, PathBuf)>, Errno> {
    // Both of the same link, whatever somebody puts there meanwhile.
    let found = openat(at, name, PLACE | OFlags::NOFOLLOW, Mode::empty())?;
    let stat = fstat(&found)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    let target = readlinkat(&found, "", Vec::new())?;
    Ok(Some((stat.st_uid, OsString::from_vec(target.into_bytes()).into())))
}

#[cfg(not(target_os = "linux"))]
fn link(at: &OwnedFd, name: &OsStr) -> Result<Option<(u32, PathBuf)>, Errno> {
    use rustix::fs::{AtFlags, statat};
    let stat = statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    let target = readlinkat(at, name, Vec::new())?;
    Ok(Some((stat.st_uid, OsString::from_vec(target.into_bytes()).into())))
}

/// How often a walk is tried again during which something was renamed.
#[cfg(target_os = "linux")]
const TRIES: usize = 16;

#[cfg(target_os = "linux")]
fn find(root: OwnedFd, rest: &Path) -> Result<OwnedFd, BeneathError> {
    use rustix::fs::{ResolveFlags, openat2};
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut found = Err(Errno::AGAIN);
    for _ in 0..TRIES {
        found = openat2(&root, rest, PLACE, Mode::empty(), resolve);
        if !matches!(found, Err(Errno::AGAIN)) {
            break;
        }
    }
    match found {
        // A kernel before 5.6, or a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(root, rest),
        found => Ok(found?),
    }
}

#[cfg(not(target_os = "linux"))]
fn find(root: OwnedFd, rest: &Path) -> Result<OwnedFd, BeneathError> {
    step_by_step(root, rest)
}

/// Walks step by step, for systems that cannot do it at once; no link is followed then.
fn step_by_step(root: OwnedFd, rest: &Path) -> Result<OwnedFd, BeneathError> {
    let mut at = root;
    let mut steps = rest.components().peekable();
    while let Some(step) = steps.next() {
        let name = match step {
            Component::Normal(name) => name,
            Component::CurDir => continue,
            _ => return Err(BeneathError::Outside),
        };
        let kind = if steps.peek().is_some() { OFlags::DIRECTORY } else { OFlags::empty() };
        at = openat(&at, name, PLACE | OFlags::NOFOLLOW | kind, Mode::empty()).map_err(|error| match error {
            Errno::LOOP => BeneathError::Outside,
            error => error.into(),
        })?;
    }
    Ok(at)
}

/// Opens the file behind an O_PATH descriptor for reading, with the rights of this process.
#[cfg(target_os = "linux")]
fn readable(place: OwnedFd) -> Result<OwnedFd, BeneathError> {
    let path = format!("/proc/self/fd/{}", place.as_fd().as_raw_fd());
    Ok(open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?)
}

#[cfg(not(target_os = "linux"))]
fn readable(place: OwnedFd) -> Result<OwnedFd, BeneathError> {
    Ok(place)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    fn text(opened: Result<(OwnedFd, Stat), BeneathError>) -> Result<String, BeneathError> {
        opened.map(|(file, _)| {
            let mut text = String::new();
            fs::File::from(file).read_to_string(&mut text).unwrap();
            text
        })
    }

    #[test]
    fn only_regular_files_below_the_directory_are_opened() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(scratch.path().join("secret"), "secret").unwrap();
        fs::write(root.join("a/file"), "file").unwrap();
        symlink("../file", root.join("a/b/inside")).unwrap();
        symlink("../../../secret", root.join("a/b/outside")).unwrap();
        symlink(scratch.path().join("secret"), root.join("absolute")).unwrap();
        symlink("/", root.join("a/slash")).unwrap();
        symlink("/proc/self/root", root.join("a/magic")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("pipe"), Mode::RUSR).unwrap();

        let open = |rest: &str| text(open_beneath(&root, Path::new(rest)));
        assert_eq!(open("a/file").as_deref(), Ok("file"));
        assert_eq!(open("a/b/../file").as_deref(), Ok("file"));
        assert_eq!(open("a/b/inside").as_deref(), Ok("file"));
        for outside in [
            "../secret",
            "a/../../secret",
            "a/b/outside",
            "absolute",
            "a/slash/etc/passwd",
            "a/magic/etc/passwd",
            "/etc/passwd",
        ] {
            assert_eq!(open(outside), Err(BeneathError::Outside), "{outside}");
        }
        assert_eq!(open("pipe"), Err(BeneathError::NotRegular));
        assert_eq!(open("a"), Err(BeneathError::NotRegular));
        assert_eq!(open("a/nothing"), Err(BeneathError::Failed(Errno::NOENT)));
        assert_eq!(open(""), Err(BeneathError::Failed(Errno::NOENT)));
    }

    #[test]
    fn the_directory_itself_is_behind_links_of_those_only_who_could_have_named_it() {
        let scratch = tempfile::tempdir().unwrap();
        let (root, link) = (scratch.path().join("a/root"), scratch.path().join("link"));
        fs::create_dir_all(&root).unwrap();
        fs::write(root.join("file"), "file").unwrap();
        let open = |directory: &Path| text(open_beneath(directory, Path::new("file")));
        assert_eq!(open(&root).as_deref(), Ok("file"));
        symlink("a/../a/root", &link).unwrap();
        symlink(&link, scratch.path().join("other")).unwrap();
        assert_eq!(open(&scratch.path().join("other")).as_deref(), Ok("file"));
        symlink("around", scratch.path().join("around")).unwrap();
        assert_eq!(open(&scratch.path().join("around")), Err(BeneathError::Failed(Errno::LOOP)));
        assert_eq!(open(&root.join("file")), Err(BeneathError::Failed(Errno::NOTDIR)));
        if geteuid().is_root() {
            std::os::unix::fs::lchown(&link, Some(9), None).unwrap();
            assert_eq!(open(&scratch.path().join("other")), Err(BeneathError::Outside));
            std::os::unix::fs::lchown(&root, Some(9), None).unwrap();
            assert_eq!(open(&scratch.path().join("other")).as_deref(), Ok("file"), "it is its owner's");
        }
    }

    #[test]
    fn where_the_system_cannot_do_it_at_once_no_link_is_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("root");
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(root.join("a/file"), "file").unwrap();
        symlink("a", root.join("link")).unwrap();
        symlink("file", root.join("a/link")).unwrap();
        let find = |rest: &str| {
            let directory = open(&root, PLACE | OFlags::DIRECTORY, Mode::empty()).unwrap();
            step_by_step(directory, Path::new(rest)).map(drop)
        };
        assert_eq!(find("a/./file"), Ok(()));
        assert!(find("link/file").is_err());
        assert_eq!(find("../root/a/file"), Err(BeneathError::Outside));
        assert_eq!(find("/etc/passwd"), Err(BeneathError::Outside));
    }
}
