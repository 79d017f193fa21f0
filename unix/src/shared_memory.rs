//! Memory files that several processes share. Nobody but their maker's user may open them anew (`/proc/<pid>/fd`), and
//! nobody can change their length: a process that has mapped a file which becomes shorter dies of SIGBUS.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, SealFlags, fchmod, fcntl_add_seals, ftruncate, memfd_create};

/// Makes a memory file of `size` zeroes, to be written by all who get its descriptor.
///
/// # Errors
/// If the system has no more memory or descriptors.
pub fn create(name: &CStr, size: usize) -> io::Result<OwnedFd> {
    let file = of_length(name, size)?;
    fcntl_add_seals(&file, SealFlags::SEAL)?;
    Ok(file)
}

/// Makes a memory file of `size` zeroes that is to be mapped here, before [`forbid_writing`] closes it for all others.
///
/// # Errors
/// As [`create`].
pub fn create_for_readers(name: &CStr, size: usize) -> io::Result<OwnedFd> {
    of_length(name, size)
}

/// Forbids everybody to write to the file, or to map it for writing, whatever descriptor they have; existing mappings
/// stay as they are.
///
/// # Errors
/// If the system cannot do that (Linux before 5.1), or the file was made by [`create`].
pub fn forbid_writing(file: impl AsFd) -> io::Result<()> {
    Ok(fcntl_add_seals(file, SealFlags::FUTURE_WRITE | SealFlags::SEAL)?)
}

fn of_length(name: &CStr, size: usize) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    // The system makes it 0777.
    fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    ftruncate(&file, size as u64)?;
    fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    #[test]
    fn a_memory_file_is_its_owners_alone_and_keeps_its_length() {
        let file = File::from(create(c"test", 4096).unwrap());
        let found = file.metadata().unwrap();
        assert_eq!((found.mode() & 0o7777, found.len()), (0o600, 4096));
        for length in [0, 8192] {
            assert!(file.set_len(length).is_err(), "{length}");
        }
        assert!(file.write_at(b"x", 4096).is_err(), "a longer one would cost memory");
        assert!(fcntl_add_seals(&file, SealFlags::WRITE).is_err(), "nobody can keep others from writing");
    }

    #[test]
    fn what_is_for_readers_nobody_can_write_any_more() {
        let file = File::from(create_for_readers(c"test", 4096).unwrap());
        file.write_at(b"text", 0).unwrap();
        forbid_writing(&file).unwrap();
        assert!(file.write_at(b"other", 0).is_err());
        let mut read = [0; 4];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"text");
    }
}
