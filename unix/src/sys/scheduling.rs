//! What a thread that is woken does to the one that runs.

use std::io;

/// Whether the calling thread is one like most others: neither the administrator nor anybody else has chosen how it is
/// scheduled.
#[cfg(target_os = "linux")]
pub fn is_usual() -> bool {
    // SAFETY: numbers alone.
    unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) == libc::c_long::from(libc::SCHED_OTHER) }
}

/// Lets the calling thread, when it is woken, wait until the thread that runs pauses or has had its time
/// (`SCHED_BATCH`), or has it push that aside again, as usual. Its share of the processor stays the same. Threads and
/// processes that it makes begin in the same way.
///
/// # Errors
/// Those of `sched_setscheduler`: a filter of system calls may forbid it.
#[cfg(target_os = "linux")]
pub fn give_way(gives_way: bool) -> io::Result<()> {
    let policy = if gives_way { libc::SCHED_BATCH } else { libc::SCHED_OTHER };
    // A C library may have no such function, or one that always fails (musl).
    // SAFETY: zeros are valid for a structure of numbers, of which only the first counts.
    let priority: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `priority` outlives the call, which only reads it.
    let result = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
pub fn is_usual() -> bool {
    false
}

/// Other systems cannot be told.
#[cfg(not(target_os = "linux"))]
pub fn give_way(_gives_way: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gives_way_and_is_usual_again() {
        if !is_usual() {
            return;
        }
        give_way(true).unwrap();
        assert!(!is_usual());
        give_way(false).unwrap();
        assert!(is_usual());
    }
}
