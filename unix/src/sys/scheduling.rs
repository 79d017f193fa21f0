//! What a thread that is woken does to the one that runs.

#[cfg(not(target_os = "linux"))]
pub use self::elsewhere::*;
#[cfg(target_os = "linux")]
pub use self::linux::*;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    /// Whether the calling thread is scheduled like most others: nobody has chosen a policy for it.
    pub fn is_usual() -> bool {
        policy_of(0) == libc::SCHED_OTHER
    }

    /// Has the calling thread, when it is woken, wait until the thread that runs pauses or has had its time
    /// (`SCHED_BATCH`). Its share of the processor, and how nice it is, stay the same. Threads and processes that it
    /// makes begin in the same way.
    ///
    /// # Errors
    /// Those of `sched_setscheduler`: a filter of system calls may forbid it.
    pub fn give_way() -> io::Result<()> {
        set(libc::SCHED_BATCH)
    }

    /// Has the calling thread push aside the one that runs when it is woken, as most threads do.
    ///
    /// # Errors
    /// Those of [`give_way`].
    pub fn be_usual() -> io::Result<()> {
        set(libc::SCHED_OTHER)
    }

    /// Makes the calling thread usual if the first one of the process is: it has begun as its maker was.
    pub fn be_as_the_process() {
        if policy_of(std::process::id() as libc::pid_t) == libc::SCHED_OTHER && !is_usual() {
            // Else it stays as it is, which is slower at the worst.
            let _ = be_usual();
        }
    }

    fn policy_of(thread: libc::pid_t) -> libc::c_int {
        // SAFETY: numbers alone.
        unsafe { libc::syscall(libc::SYS_sched_getscheduler, thread) as libc::c_int }
    }

    fn set(policy: libc::c_int) -> io::Result<()> {
        // SAFETY: zeros are valid for a structure of numbers, of which only the first counts.
        let priority: libc::sched_param = unsafe { std::mem::zeroed() };
        // Not by the C library, in which it may always fail (musl).
        // SAFETY: `priority` outlives the call, which only reads it.
        let result = unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const priority) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_thread_gives_way_and_is_usual_again() {
            if !is_usual() || give_way().is_err() {
                return eprintln!("NOT RUN: threads may not be scheduled otherwise here");
            }
            assert!(!is_usual());
            let made = || {
                let begins_usual = is_usual();
                be_as_the_process();
                (begins_usual, is_usual())
            };
            assert_eq!(std::thread::spawn(made).join().unwrap(), (false, true));
            be_usual().unwrap();
            assert!(is_usual());
        }
    }
}

/// Systems that are not asked.
#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;

    /// Whether nobody has chosen a policy for it: that is not told.
    pub fn is_usual() -> bool {
        false
    }

    /// It cannot be had.
    ///
    /// # Errors
    /// Always.
    pub fn give_way() -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Every thread is.
    ///
    /// # Errors
    /// Never.
    pub fn be_usual() -> io::Result<()> {
        Ok(())
    }

    /// Every thread is.
    pub fn be_as_the_process() {}
}
