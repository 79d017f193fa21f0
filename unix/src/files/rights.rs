//! Work with the rights of another user, for as long as it takes.

use std::io;
use std::thread;

use crate::user::Ids;

/// Does the work with the user's rights to files. Only these are assumed, on a thread that ends with the work: a thread
/// of that *user* could be signalled by them, and with it this process, for as long as a file system of theirs keeps it
/// waiting.
///
/// # Errors
/// If the rights cannot be assumed; then nothing is done.
#[cfg(target_os = "linux")]
pub fn with<T: Send>(user: &Ids, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new().spawn_scoped(scope, || take(user).map(|()| work()))?;
        worker.join().unwrap_or_else(|_| Err(io::Error::other("the work has failed")))
    })
}

/// Assumes the rights: the groups first, as the right to do that goes with the user. Root's capabilities to ignore
/// permissions go with it as well.
#[cfg(target_os = "linux")]
fn take(user: &Ids) -> io::Result<()> {
    use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
    use rustix::process::Gid as ThreadGid;

    let groups: Vec<_> = user.groups.iter().map(|gid| ThreadGid::from_raw(*gid)).collect();
    rustix::thread::set_thread_groups(&groups)?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    setfsgid(gid);
    setfsuid(uid);
    // They tell the value before; a second call shows whether the first did anything.
    if setfsgid(gid) == gid && setfsuid(uid) == uid { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

/// Refuses: on this system a thread has no rights of its own.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn with<T: Send>(_: &Ids, _: impl FnOnce() -> T + Send) -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}
