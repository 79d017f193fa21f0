//! The flight recorder of a daemon process: made before it starts, read when it has ended.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use wsgi_unix::shared_memory;
use wsgi_wire::recorder::{Recording, size};

/// The supervisor's end of a flight recorder.
#[derive(Debug)]
pub struct Recorder {
    file: File,
    threads: u32,
}

impl Recorder {
    /// Makes an empty recorder for a process with so many workers. Its length is sealed, whatever the process does with
    /// it.
    ///
    /// # Errors
    /// If the system has no more memory or descriptors.
    pub fn new(threads: u32) -> io::Result<Self> {
        Ok(Self { file: shared_memory::create(c"wsgi-recorder", size(threads))?.into(), threads })
    }

    /// Reads what is in it now; nothing if it cannot be read.
    pub fn read(&self) -> Recording {
        let mut content = vec![0; size(self.threads)];
        // It is copied, not mapped: the process may still be writing.
        let read = self.file.read_exact_at(&mut content, 0);
        read.ok().and_then(|()| Recording::read(&content, self.threads).ok()).unwrap_or_default()
    }
}

impl AsFd for Recorder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_recorder_is_empty_and_keeps_its_length() {
        let recorder = Recorder::new(3).unwrap();
        assert_eq!(recorder.read(), Recording::default());
        assert!(recorder.file.set_len(1).is_err(), "a shorter file could not be read");
        assert!(recorder.file.write_at(b"x", size(3) as u64).is_err(), "a longer one would cost memory");
        assert_eq!(recorder.file.write_at(b"stacks", wsgi_wire::recorder::report_offset(3) as u64).unwrap(), 6);
        assert_eq!(recorder.read().report, "stacks");
    }
}
