//! Signals to single threads of a daemon.

use rustix::process::Pid;

/// Sends a signal to one thread of a process. One that is not a thread of that process is left alone; so is a process
/// that has ended.
pub fn send_to_thread(process: Pid, thread: u32, signal: i32) {
    // SAFETY: takes numbers only; the kernel checks that they belong together.
    unsafe { libc::syscall(libc::SYS_tgkill, process.as_raw_pid(), thread as libc::pid_t, signal) };
}
