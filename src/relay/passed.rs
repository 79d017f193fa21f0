//! Files that a daemon process passes as content: only what can be read at once and to its end is taken.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open};
use rustix::io::{pread, retry_on_intr};
use wsgi_unix::memory_file;
use wsgi_wire::response::File;

pub use super::sendable::{PassedFileError, Sendable};

/// Checks that a piece of a file can be sent. Unless the file is sealed, it may still be shortened afterwards.
///
/// # Errors
/// [`PassedFileError`]
pub fn check(file: BorrowedFd<'_>, piece: &File) -> Result<Sendable, PassedFileError> {
    let stat = fstat(file).map_err(PassedFileError::Failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(PassedFileError::NotRegular);
    }
    let flags = fcntl_getfl(file).map_err(PassedFileError::Failed)?;
    if flags.contains(OFlags::PATH) || flags.intersection(OFlags::RWMODE) == OFlags::WRONLY {
        return Err(PassedFileError::NotReadable);
    }
    let (Ok(offset), Ok(length)) = (i64::try_from(piece.offset), i64::try_from(piece.length)) else {
        return Err(PassedFileError::TooShort);
    };
    if offset.checked_add(length).is_none_or(|end| end > stat.st_size) {
        return Err(PassedFileError::TooShort);
    }
    Ok(Sendable { offset, length, sealed: memory_file::is_sealed(file, &stat) })
}

/// Opens the same file anew, with a position of its own, if this process may open it.
pub fn reopen(file: impl AsFd) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()).ok()
}

/// Fills `into` from this offset on. The file's position, which the application shares with this process, stays where
/// it is.
///
/// # Errors
/// [`PassedFileError`], too, if the file ends before.
pub fn read(file: impl AsFd, offset: u64, into: &mut [u8]) -> Result<(), PassedFileError> {
    let mut got = 0;
    while got < into.len() {
        match retry_on_intr(|| pread(&file, &mut into[got..], offset.saturating_add(got as u64))) {
            Ok(0) => return Err(PassedFileError::TooShort),
            Ok(n) => got += n,
            Err(error) => return Err(PassedFileError::Failed(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;
    use std::fs::{self, OpenOptions};
    use std::os::unix::net::UnixStream;

    fn piece(offset: u64, length: u64) -> File {
        File { offset, length, whole: true }
    }

    fn checked(file: impl Into<OwnedFd>, piece: &File) -> Result<Sendable, PassedFileError> {
        check(file.into().as_fd(), piece)
    }

    #[test]
    fn only_regular_readable_files_are_sent() {
        let flags = rustix::event::EventfdFlags::CLOEXEC;
        assert_eq!(checked(rustix::event::eventfd(7, flags).unwrap(), &piece(0, 8)), Err(PassedFileError::NotRegular));
        assert_eq!(checked(UnixStream::pair().unwrap().0, &piece(0, 0)), Err(PassedFileError::NotRegular));
        for other in ["/", "/dev/zero"] {
            assert_eq!(
                checked(fs::File::open(other).unwrap(), &piece(0, 0)),
                Err(PassedFileError::NotRegular),
                "{other}"
            );
        }
        let path = std::env::temp_dir().join(format!("wsgi-passed-{}", std::process::id()));
        fs::write(&path, "content").unwrap();
        let open = |flags: i32, write: bool| {
            use std::os::unix::fs::OpenOptionsExt;
            OpenOptions::new().read(!write).write(write).custom_flags(flags).open(&path).unwrap()
        };
        assert_eq!(checked(open(0, true), &piece(0, 1)), Err(PassedFileError::NotReadable));
        assert_eq!(checked(open(libc::O_PATH, false), &piece(0, 1)), Err(PassedFileError::NotReadable));
        let sendable = Sendable { offset: 3, length: 4, sealed: false };
        assert_eq!(checked(open(0, false), &piece(3, 4)), Ok(sendable));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_piece_lies_within_its_file() {
        let file = || memory_file::sealed("test", b"content").unwrap();
        assert_eq!(checked(file(), &piece(0, 7)), Ok(Sendable { offset: 0, length: 7, sealed: true }));
        assert_eq!(checked(file(), &piece(7, 0)), Ok(Sendable { offset: 7, length: 0, sealed: true }));
        for (offset, length) in
            [(0, 8), (8, 0), (1, 7), (1, i64::MAX as u64), (0, 1 << 63), (u64::MAX, 2), (1, u64::MAX)]
        {
            assert_eq!(checked(file(), &piece(offset, length)), Err(PassedFileError::TooShort), "{offset} {length}");
        }
    }

    #[test]
    fn a_file_that_ends_too_early_is_no_success() {
        let file = memory_file::sealed("test", b"content").unwrap();
        let mut into = [0; 4];
        assert_eq!((read(&file, 3, &mut into), &into), (Ok(()), b"tent"));
        assert_eq!(read(&file, 4, &mut into), Err(PassedFileError::TooShort));
        let directory = fs::File::open("/").unwrap();
        assert_eq!(read(&directory, 0, &mut into), Err(PassedFileError::Failed(Errno::ISDIR)));
    }
}
