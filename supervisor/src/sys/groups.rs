//! The groups of a user, from the system's databases.

use std::ffi::CStr;
use std::io;

/// All groups that the system knows `user` in, and `main`.
///
/// # Errors
/// If the system does not tell.
pub fn groups_of(user: &CStr, main: libc::gid_t) -> io::Result<Vec<libc::gid_t>> {
    /// More than any system lets a process have.
    const MOST: usize = 1 << 16;
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut count = groups.len() as libc::c_int;
        // SAFETY: the name ends in NUL; the pointer is to as many elements as `count` says.
        let result = unsafe { libc::getgrouplist(user.as_ptr(), main as _, groups.as_mut_ptr().cast(), &mut count) };
        if result >= 0 {
            groups.truncate(count.max(0) as usize);
            return Ok(groups);
        }
        if groups.len() >= MOST {
            return Err(io::Error::other("the user has too many groups"));
        }
        groups.resize(groups.len() * 2, 0);
    }
}
