//! An alarm clock for this program, which must not wait for other processes: when the last copy of another process's
//! connection is closed, also by the kernel on behalf of a reader that takes no descriptors, that may take as long as
//! its owner wants (SO_LINGER). A signal ends such a wait.

use std::time::Duration;

/// How long this program waits at most where it should not wait at all.
const HURRY: Duration = Duration::from_millis(50);

/// Runs a wait that this program should do here and nowhere else. Between two such waits SIGALRM, which has a handler,
/// comes again and again. Processes that are started do not inherit the clock.
pub fn wait_for<R>(wait: impl FnOnce() -> R) -> R {
    ring(Duration::ZERO);
    let result = wait();
    ring(HURRY);
    result
}

fn ring(every: Duration) {
    let time = libc::timeval { tv_sec: 0, tv_usec: every.as_micros() as libc::suseconds_t };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    // SAFETY: the pointer is to a live local variable. With a number of microseconds below a million this cannot fail.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
}
