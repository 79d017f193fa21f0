//! File systems that a process serves (FUSE: sshfs, s3fs, gocryptfs).

use std::os::fd::AsFd;

/// The value of `FUSE_SUPER_MAGIC` (statfs(2)).
const FUSE: i128 = 0x6573_5546;

/// Whether a process serves this file. Then processes of other users may not even ask for its size (mount.fuse(8),
/// `allow_other`), so it is read where it was opened.
pub fn serves(file: impl AsFd) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|system| i128::from(system.f_type) == FUSE)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_serves_usual_files_itself() {
        assert!(!super::serves(std::fs::File::open("/proc/self/exe").unwrap()));
        assert!(!super::serves(std::fs::File::open("/proc/self/status").unwrap()));
    }
}
