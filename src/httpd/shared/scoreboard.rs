//! Where Apache children write the scoreboard down for daemons, which can only read it.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{FlockOperation, fcntl_lock};
use wsgi_unix::shared_memory;
use wsgi_wire::scoreboard::{self, ScoreboardHead, Word};

use super::memory::Memory;

/// The shared scoreboard. All zero is a value without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SharedScoreboard {
    memory: Memory,
}

impl SharedScoreboard {
    /// Makes the memory for the scoreboard of a server with these limits (`ServerLimit`, `ThreadLimit`).
    ///
    /// # Errors
    /// If there are no more descriptors or memory, or the system cannot keep its readers from writing.
    pub fn create((server_limit, thread_limit): (u32, u32)) -> io::Result<Self> {
        let size = scoreboard::CONTENT + scoreboard::capacity(server_limit, thread_limit);
        let memory = Memory::map(shared_memory::create_for_readers(c"mod_wsgi-scoreboard", size)?, size)?;
        if let Err(error) = shared_memory::forbid_writing(memory.fd()) {
            // SAFETY: it was made above, and nobody else has it.
            unsafe { memory.unmap() };
            return Err(error);
        }
        Ok(Self { memory })
    }

    /// Whether there is one: false for zeroed memory.
    pub fn is_mapped(&self) -> bool {
        self.memory.is_mapped()
    }

    /// The descriptor, for the supervisor.
    pub fn fd(&self) -> BorrowedFd<'static> {
        self.memory.fd()
    }

    /// What stands in front of the scoreboard.
    pub fn head(&self) -> &'static ScoreboardHead {
        // SAFETY: at the beginning of the mapping; `ScoreboardHead` is atomics, for which all bytes are valid; it stays
        // mapped until the process ends.
        unsafe { self.memory.at(0) }
    }

    fn content(&self) -> &'static [Word] {
        // SAFETY: it is mapped, behind the page of the scoreboard, and looked at as atomics only, by every process; it
        // stays mapped until the process ends.
        unsafe { self.memory.words(scoreboard::CONTENT) }
    }

    /// Writes an encoded scoreboard down; what does not fit is left out, readers then see that it is not whole. `lock`
    /// is a file that no daemon can have: who can lock it keeps all others from writing.
    pub fn publish(&self, encoded: &[u8], lock: BorrowedFd<'_>) {
        // One child at a time. The lock ends with its process; without it two might write at once, which readers
        // notice.
        let locked = fcntl_lock(lock, FlockOperation::LockExclusive).is_ok();
        self.head().publish(self.content(), encoded);
        if locked {
            // It is ours, so this cannot fail.
            let _ = fcntl_lock(lock, FlockOperation::Unlock);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use rustix::io::{Errno, pwrite};
    use rustix::mm::{MapFlags, ProtFlags, mmap};

    use super::*;

    #[test]
    fn who_gets_the_boards_descriptor_can_only_read() {
        let scoreboard = SharedScoreboard::create((1, 1)).unwrap();
        assert_eq!(pwrite(scoreboard.fd(), b"x", 0), Err(Errno::PERM));
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, which must fail.
        let writable = unsafe { mmap(std::ptr::null_mut(), 4096, protection, MapFlags::SHARED, scoreboard.fd(), 0) };
        assert_eq!(writable.err(), Some(Errno::PERM));
        let table = super::super::SharedTable::create().unwrap();
        scoreboard.publish(b"four", table.fd());
        let head = scoreboard.head();
        assert_eq!((head.published.load(Ordering::Relaxed), head.length.load(Ordering::Relaxed)), (2, 4));
    }
}
