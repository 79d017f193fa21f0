//! What a daemon process does to itself: its title, its signal handlers, its page.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use wsgi_unix::fork::{self, Unshared};
use wsgi_wire::table::{PAGE, Page, page_offset};

/// Takes over a descriptor that the process was started with.
///
/// # Errors
/// If it is not open.
pub(crate) fn inherited(fd: RawFd) -> std::io::Result<OwnedFd> {
    // SAFETY: asks only for the flags.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: open, and by the contract with the supervisor nobody else in this process knows it.
    let fd = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Maps the page of one slot, out of the pages of the process's group, for the rest of the process's life.
///
/// # Errors
/// If there are too few or they cannot be mapped.
pub(crate) fn map_page(pages: impl AsFd, slot: usize) -> std::io::Result<&'static Page> {
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    let place = page_offset(slot);
    if rustix::fs::fstat(&pages)?.st_size < (place + PAGE) as i64 {
        return Err(std::io::Error::other("the group's pages have no such slot"));
    }
    // Where machine pages are larger, some of the group's other processes are mapped, too.
    let page = page_size().max(PAGE);
    let (start, inside) = within(place, page);
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at a place of the kernel's choice, never unmapped.
    let map = unsafe { mmap(std::ptr::null_mut(), page, protection, MapFlags::SHARED, pages, start as u64) }?;
    // SAFETY: the whole mapping, which is never unmapped; zeros are valid for atomics.
    unsafe { fork::withhold(map, page) };
    // SAFETY: the file is long enough and, as a sealed memory file, stays so. It is made of atomics, for which every
    // bit pattern is valid, and a page's start is aligned for them.
    Ok(unsafe { &*map.cast::<u8>().wrapping_add(inside).cast::<Page>() })
}

/// Splits an address into the beginning of the machine's page of this size in which it lies, and the offset in that.
fn within(place: usize, page: usize) -> (usize, usize) {
    (place / page * page, place % page)
}

/// The size of a page of this machine, bytes.
fn page_size() -> usize {
    // SAFETY: always allowed.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE)
}

/// Makes `title` the process's command line, as `ps` and `/proc/PID/cmdline` show it. Cut to the room that the original
/// one takes.
pub(crate) fn set_title(title: &[u8]) {
    let Some((start, end)) = argument_area() else { return };
    let (room, title) = (end - start, title.split(|b| *b == 0).next().unwrap_or_default());
    if room < 2 {
        return;
    }
    let length = title.len().min(room - 1);
    // SAFETY: the kernel says that this area holds the arguments. They stay mapped and writable for the life of the
    // process; Python copied them before it ran any code. Inside of the area everything is overwritten, so it ends in
    // at least one NUL.
    unsafe {
        let area = std::slice::from_raw_parts_mut(start as *mut u8, room);
        area.fill(0);
        area[..length].copy_from_slice(&title[..length]);
    }
}

/// `arg_start` and `arg_end` of `/proc/self/stat` (fields 48 and 49).
fn argument_area() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(48 - 3);
    let (start, end) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    (start != 0 && start < end).then_some((start, end))
}

static SIGNALS: AtomicI32 = AtomicI32::new(-1);
static OWNER: AtomicI32 = AtomicI32::new(0);

extern "C" fn on_signal(signal: libc::c_int) {
    // Only calls that are async-signal-safe.
    // SAFETY: takes nothing.
    if unsafe { libc::getpid() } != OWNER.load(Ordering::Relaxed) {
        // A process that the application forked: the signal is its own affair.
        // SAFETY: changes what this signal does.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
        // SAFETY: takes a number.
        unsafe { libc::raise(signal) };
        return;
    }
    // SAFETY: takes nothing; the place is this thread's for as long as that lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let byte = signal as u8;
    // SAFETY: one byte is read; the descriptor stays open for ever.
    unsafe { libc::write(SIGNALS.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
    // The code that was interrupted may be about to look at it.
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Makes these signals write their numbers as bytes into a pipe, instead of what they would do. The descriptor stays
/// open for ever.
pub(crate) fn catch_signals(signals: &[i32], pipe: Unshared) {
    OWNER.store(std::process::id() as i32, Ordering::Relaxed);
    SIGNALS.store(pipe.as_raw_fd(), Ordering::Relaxed);
    std::mem::forget(pipe);
    for signal in signals {
        // SAFETY: zeros are valid for all its fields: no flags, no handler, no signal that is blocked meanwhile.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the handler is async-signal-safe.
        unsafe { libc::sigaction(*signal, &action, std::ptr::null_mut()) };
    }
}

/// Sends what is written to standard output and error from now on nowhere, because nobody reads it any more: otherwise
/// it would be an error, or SIGPIPE for programs that the application starts.
pub(crate) fn close_output() {
    let Ok(null) = std::fs::File::options().write(true).open("/dev/null") else { return };
    // Both numbers are open, and stay so.
    let _ = rustix::stdio::dup2_stdout(&null);
    let _ = rustix::stdio::dup2_stderr(&null);
}

#[cfg(test)]
mod tests {
    use wsgi_wire::table::{PAGES, SLOTS};

    use super::*;

    #[test]
    fn the_page_of_every_slot_can_be_mapped_whatever_the_size_of_the_machines_pages() {
        for machine in [4 << 10, 16 << 10, 64 << 10] {
            for slot in 0..SLOTS {
                let (place, page) = (page_offset(slot), machine.max(PAGE));
                let (start, inside) = within(place, page);
                assert_eq!((start + inside, start % machine), (place, 0), "{machine} {slot}");
                assert!(inside + PAGE <= page && start + page <= PAGES, "{machine} {slot}");
            }
        }
    }
}
