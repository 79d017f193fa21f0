//! Memory that two processes share, of whom one writes what the other one passes on without looking at it.

use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;

use rustix::fs::{SealFlags, fcntl_get_seals, fstat};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use super::is_ours;

/// How many words at the beginning are for both to read and write.
const WORDS: usize = 4;

/// A memory file of sealed length that is mapped to be read and written. Forked processes do not have the mapping.
#[derive(Debug)]
pub struct Mapped {
    start: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping is nobody's in particular, and ends with its owner.
unsafe impl Send for Mapped {}

/// Bytes that another process may change at any time: Rust code has no reference to them, it hands on their address.
#[derive(Debug, Clone, Copy)]
pub struct Outside<'m> {
    start: *const u8,
    length: usize,
    mapping: PhantomData<&'m Mapped>,
}

impl Outside<'_> {
    /// Where the bytes begin; they are readable as long as the mapping is there.
    pub fn start(&self) -> *const u8 {
        self.start
    }

    /// How many bytes there are.
    pub fn length(&self) -> usize {
        self.length
    }
}

impl Mapped {
    /// Maps a memory file of exactly this size, at least so long that the words fit in.
    ///
    /// # Errors
    /// `EINVAL` if the file has another size, or somebody can change that: to touch what lies behind its end would end
    /// this process. Those of the system.
    pub fn new(file: impl AsFd, size: usize) -> io::Result<Self> {
        let (seals, stat) = (fcntl_get_seals(&file)?, fstat(&file)?);
        let is_usual = i128::from(stat.st_blksize) == rustix::param::page_size() as i128;
        let is_long = i128::from(stat.st_size) == size as i128 && size >= size_of::<[AtomicU32; WORDS]>();
        if !seals.contains(SealFlags::SHRINK | SealFlags::GROW) || !is_usual || !is_long {
            return Err(Errno::INVAL.into());
        }
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap(ptr::null_mut(), size, protection, MapFlags::SHARED, file, 0)? };
        let mapped = Self { start: NonNull::new(start.cast()).ok_or(Errno::NOMEM)?, size };
        // SAFETY: the range is that of the mapping, which stays as it is in this process.
        unsafe { madvise(start, size, Advice::LinuxDontFork)? };
        Ok(mapped)
    }

    /// The first words.
    pub fn words(&self) -> &[AtomicU32; WORDS] {
        // SAFETY: so much is mapped, from the beginning of a page on, as long as `self` is there; all bytes are valid
        // for atomics.
        unsafe { self.start.cast().as_ref() }
    }

    /// Writes at an offset, behind the words. What does not fit in is left out.
    pub fn write(&mut self, offset: usize, content: &[u8]) {
        let Some(place) = self.outside(offset, content.len()) else { return };
        // SAFETY: the place is mapped, and so long. Nobody in this process has a reference to it, and content is none
        // of it; what another process reads meanwhile is its own affair.
        unsafe { ptr::copy_nonoverlapping(content.as_ptr(), place.start.cast_mut(), content.len()) };
    }

    /// The bytes at an offset, behind the words; `None` if not all of them are mapped.
    pub fn outside(&self, offset: usize, length: usize) -> Option<Outside<'_>> {
        let is_inside = offset >= size_of::<[AtomicU32; WORDS]>() && offset.checked_add(length)? <= self.size;
        let start = self.start.as_ptr().wrapping_add(offset).cast_const();
        is_inside.then_some(Outside { start, length, mapping: PhantomData })
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // What a forked process has at this place is something else.
        if is_ours() {
            // SAFETY: the range is that of the mapping, to which nothing refers any more. That fails for none of ours.
            let _ = unsafe { munmap(self.start.as_ptr().cast(), self.size) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::sync::atomic::Ordering::Relaxed;

    use rustix::fs::{MemfdFlags, fcntl_add_seals, ftruncate, memfd_create};
    use rustix::io::pread;

    use super::*;

    const SIZE: usize = 8192;

    fn sealed(seals: SealFlags) -> OwnedFd {
        let file = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, SIZE as u64).unwrap();
        fcntl_add_seals(&file, seals).unwrap();
        file
    }

    fn file() -> OwnedFd {
        sealed(SealFlags::SHRINK | SealFlags::GROW)
    }

    #[test]
    fn what_one_end_writes_the_other_one_has() {
        let file = file();
        let (mut ours, theirs) = (Mapped::new(&file, SIZE).unwrap(), Mapped::new(&file, SIZE).unwrap());
        ours.write(100, b"content");
        let mut read = [0; 7];
        assert_eq!((pread(&file, &mut read, 100), &read), (Ok(7), b"content"));
        ours.words()[1].store(7, Relaxed);
        assert_eq!(theirs.words()[1].load(Relaxed), 7);
        let place = theirs.outside(100, 7).unwrap();
        assert_eq!((place.start(), place.length()), (theirs.start.as_ptr().wrapping_add(100).cast_const(), 7));
    }

    #[test]
    fn nothing_lies_outside_of_the_mapping_or_on_its_words() {
        let mut mapped = Mapped::new(file(), SIZE).unwrap();
        assert!(mapped.outside(16, SIZE - 16).is_some() && mapped.outside(SIZE, 0).is_some());
        for (offset, length) in [(15, 1), (16, SIZE - 15), (SIZE, 1), (SIZE + 1, 0), (usize::MAX, 2), (17, usize::MAX)]
        {
            assert!(mapped.outside(offset, length).is_none(), "{offset} {length}");
        }
        mapped.write(SIZE - 3, b"longer");
        mapped.write(0, b"lower");
        assert_eq!(mapped.words()[0].load(Relaxed), 0);
    }

    #[test]
    fn a_file_whose_length_somebody_can_change_is_not_mapped() {
        for seals in [SealFlags::SHRINK, SealFlags::GROW, SealFlags::SEAL] {
            assert!(Mapped::new(sealed(seals), SIZE).is_err(), "{seals:?}");
        }
        let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        assert!(Mapped::new(sealed(all), SIZE).is_err(), "nobody can write to it");
        for size in [0, 4, SIZE - 1, SIZE + 1, 2 * SIZE] {
            assert!(Mapped::new(file(), size).is_err(), "{size}");
        }
        assert!(Mapped::new(std::fs::File::open("/proc/self/exe").unwrap(), SIZE).is_err());
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(Mapped::new(socket, SIZE).is_err());
    }
}
