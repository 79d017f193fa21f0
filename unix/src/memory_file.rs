//! Memory files whose content nobody can change any more, so that another process can map them without having to fear
//! for its life: touching a page behind the end of a file that has been shortened ends a process (SIGBUS).

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, SealFlags, Stat, fchmod, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::{retry_on_intr, write};

/// The seals that make the content of a memory file final: neither its length nor its bytes can change, and no seal can
/// be taken back (fcntl(2), F_ADD_SEALS).
const FINAL: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::WRITE).union(SealFlags::SEAL);

/// Makes a sealed memory file with this content. `name` shows in /proc.
///
/// # Errors
/// Those of the system: no descriptor or no memory is left.
pub fn sealed(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    // The system makes it 0777.
    fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = retry_on_intr(|| write(&file, rest))?;
        rest = &rest[written..];
    }
    fcntl_add_seals(&file, FINAL)?;
    Ok(file)
}

/// Whether a file, whose `stat` has just been asked for, is a memory file that nobody can change and that has all its
/// pages: one with holes would get them only when they are touched, and where there is no memory for that the process
/// ends as well. Pages of other sizes than usual may be missing, too.
pub fn is_sealed(file: impl AsFd, stat: &Stat) -> bool {
    // Files on disk have no seals: an error.
    fcntl_get_seals(file).is_ok_and(|seals| seals.contains(FINAL))
        && i128::from(stat.st_blksize) == rustix::param::page_size() as i128
        && i128::from(stat.st_blocks) * 512 >= i128::from(stat.st_size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{fstat, ftruncate};
    use rustix::io::{Errno, pread};

    fn checked(file: &OwnedFd) -> bool {
        is_sealed(file, &fstat(file).unwrap())
    }

    #[test]
    fn a_sealed_file_has_its_content_and_keeps_it() {
        let content = vec![7; 300_000];
        let file = sealed("test", &content).unwrap();
        let mut read = vec![0; content.len()];
        assert_eq!(pread(&file, &mut read, 0), Ok(content.len()));
        assert!(read == content && checked(&file));
        assert_eq!(ftruncate(&file, 1), Err(Errno::PERM));
        assert_eq!(write(&file, b"x"), Err(Errno::PERM));
        assert_eq!(fcntl_add_seals(&file, SealFlags::FUTURE_WRITE), Err(Errno::PERM));
        assert!(checked(&sealed("empty", b"").unwrap()));
    }

    #[test]
    fn what_somebody_may_change_is_not_sealed() {
        assert!(!checked(&std::fs::File::open("/proc/self/exe").unwrap().into()));
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let holes = memfd_create("holes", flags).unwrap();
        ftruncate(&holes, 1 << 20).unwrap();
        fcntl_add_seals(&holes, FINAL).unwrap();
        assert!(!checked(&holes), "its pages are not there");
        for missing in [SealFlags::SHRINK, SealFlags::GROW, SealFlags::WRITE, SealFlags::SEAL] {
            let file = memfd_create("almost", flags).unwrap();
            write(&file, b"content").unwrap();
            fcntl_add_seals(&file, FINAL.difference(missing)).unwrap();
            assert!(!checked(&file), "{missing:?}");
        }
    }
}
