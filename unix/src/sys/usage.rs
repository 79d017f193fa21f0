//! What the process and its threads have used of the machine.

use std::time::Duration;

fn usage(of: libc::c_int) -> libc::rusage {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: a place for the numbers.
    unsafe { libc::getrusage(of, usage.as_mut_ptr()) };
    // SAFETY: it is made of numbers, for which zeros are valid.
    unsafe { usage.assume_init() }
}

fn cpu(usage: &libc::rusage) -> (Duration, Duration) {
    let duration = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    (duration(usage.ru_utime), duration(usage.ru_stime))
}

/// The CPU time of the calling thread, in user mode and in the kernel.
pub fn thread_cpu() -> (Duration, Duration) {
    cpu(&usage(libc::RUSAGE_THREAD))
}

/// The CPU time of the calling thread, and how often it has waited for anything: the system, a lock, another thread. To
/// be made to wait for a processor does not count. `None` where the system does not count waits.
pub fn thread_cpu_and_waits() -> (Duration, Option<u64>) {
    let usage = usage(libc::RUSAGE_THREAD);
    let (user, system) = cpu(&usage);
    (user + system, Some(usage.ru_nvcsw as u64))
}

/// The CPU time of the process, in user mode and in the kernel.
pub fn process_cpu() -> (Duration, Duration) {
    cpu(&usage(libc::RUSAGE_SELF))
}

/// The most memory that the process has ever had resident, in bytes.
pub fn max_memory() -> u64 {
    usage(libc::RUSAGE_SELF).ru_maxrss as u64 * 1024
}

/// The memory that the process has resident now, in bytes; 0 if the system does not tell.
pub fn memory() -> u64 {
    resident("self").unwrap_or(0)
}

/// The resident memory in bytes of the process with this name in `/proc`.
pub(crate) fn resident(process: &str) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_waits_is_seen_to() {
        let before = thread_cpu_and_waits().1;
        std::thread::sleep(Duration::from_millis(1));
        assert!(thread_cpu_and_waits().1 > before);
    }

    #[test]
    fn what_is_used_counts() {
        let before = thread_cpu();
        while thread_cpu() == before {}
        let (user, system) = process_cpu();
        assert!(user + system > Duration::ZERO);
        assert!(memory() > 0 && max_memory() >= memory() / 2);
    }
}
