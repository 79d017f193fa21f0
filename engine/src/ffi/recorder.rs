//! The flight recorder's memory, and the signals that make threads write into it.

use std::os::fd::AsFd;

use wsgi_unix::fork;
use wsgi_wire::recorder::{Entry, Header, entries, report_offset, size};

/// Maps the header and the entries for the rest of the process's life. The file must stay open as long. Processes that
/// are forked off get memory of their own in place of it, and standard error in place of the file.
///
/// # Errors
/// If the file is not one of a process with so many workers, or cannot be mapped.
pub(crate) fn map(file: impl AsFd, threads: u32) -> std::io::Result<(&'static Header, &'static [Entry])> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    if rustix::fs::fstat(&file)?.st_size != size(threads) as i64 {
        return Err(std::io::Error::other("the flight recorder has another size"));
    }
    let length = report_offset(threads);
    fork::standard_error_instead(&file.as_fd());
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at a place of the kernel's choice, never unmapped.
    let base = unsafe { mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, file, 0) }?;
    // SAFETY: the whole mapping, which is never unmapped; zeros are valid for atomics.
    unsafe { fork::withhold(base, length) };
    let header = base.cast::<Header>();
    let entry = header.wrapping_add(1).cast::<Entry>();
    // SAFETY: the file is long enough and, sealed, stays so. Entries are made of atomics, for which every bit pattern
    // is valid; they follow the header, which leaves them aligned.
    let entries = unsafe { std::slice::from_raw_parts(entry, entries(threads)) };
    // SAFETY: as above: the header is at the aligned start of the mapping.
    Ok((unsafe { &*header }, entries))
}

/// Sends a signal to a thread of this process; nothing happens if the thread has ended. If it is the calling thread,
/// the signal is handled when this returns.
pub(crate) fn signal_thread(thread: u32, signal: i32) {
    let process = std::process::id() as libc::pid_t;
    // SAFETY: takes numbers only; the kernel checks that they belong together.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread as libc::pid_t, signal) };
}

/// Gives the calling thread a stack for signal handlers, so that they work when its own is used up. It stays for ever.
pub(crate) fn own_signal_stack() {
    let stack = Box::leak(vec![0u8; 64 << 10].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the memory is nobody else's and never freed.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}
