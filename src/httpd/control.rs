//! What the Apache parent keeps across restarts, during which the module is unloaded: the process table and the supervisor.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::ptr;

use once_cell::sync::OnceCell;
use rustix::process::{Pid, WaitOptions, waitpid};

use super::pool::Pool;
use super::shared::SharedTable;
use super::{guard, server, sys};
use crate::hooks;

/// All zero in a new process.
#[derive(Clone, Copy)]
#[repr(C)]
struct Retained {
    table: SharedTable,
    /// Where `control` and `pid` mean something.
    running: bool,
    control: RawFd,
    pid: i32,
    /// Configurations so far.
    generation: u32,
}

/// # Safety
/// Called in the parent's only thread, or in a child before it has any other; one result is alive at a time.
unsafe fn retained<'a>() -> &'a mut Retained {
    // SAFETY: httpd keeps the memory for good, zeroed at first, which is a valid `Retained` (tested below).
    unsafe { &mut *server::retained::<Retained>(c"mod_wsgi") }
}

/// The table, made the first time it is asked for. Called from `post_config`.
///
/// # Errors
/// Those of [`SharedTable::create`].
pub fn table() -> io::Result<SharedTable> {
    // SAFETY: `post_config` runs in the parent's only thread.
    let kept = unsafe { retained() };
    if !kept.table.is_mapped() {
        kept.table = SharedTable::create(server::limits())?;
    }
    Ok(kept.table)
}

/// Counts a new configuration.
pub fn next_generation() -> u32 {
    // SAFETY: `post_config` runs in the parent's only thread.
    let kept = unsafe { retained() };
    kept.generation = kept.generation.wrapping_add(1);
    kept.generation
}

/// The control socket of the running supervisor.
pub fn supervisor() -> Option<BorrowedFd<'static>> {
    // SAFETY: called in the parent's only thread.
    let kept = unsafe { retained() };
    // SAFETY: the descriptor is open while `running` is set.
    kept.running.then(|| unsafe { BorrowedFd::borrow_raw(kept.control) })
}

/// Starts the supervisor with its control socket as descriptor 3, the table as 4, and `log` as standard error.
///
/// # Errors
/// Those of `socketpair`, `fork` and `exec`.
pub fn start(program: &Path, table: SharedTable, log: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    // Above the numbers that they are moved to, so that neither overwrites the other.
    let theirs = rustix::io::fcntl_dupfd_cloexec(&theirs, 10)?;
    let memory = rustix::io::fcntl_dupfd_cloexec(table.fd(), 10)?;
    let log_file = || log.map(|fd| fd.try_clone_to_owned()).transpose();
    let mut command = Command::new(program);
    // A process group of its own: Ctrl-C at a terminal is for Apache, which tells its supervisor in order.
    command.current_dir("/").stdin(Stdio::null()).process_group(0);
    if let (Some(out), Some(err)) = (log_file()?, log_file()?) {
        command.stdout(out).stderr(err);
    }
    let (control, memory_fd) = (theirs.as_raw_fd(), memory.as_raw_fd());
    // SAFETY: between fork and exec only system calls are made, nothing is allocated.
    unsafe { command.pre_exec(move || arrange(control, memory_fd)) };
    let child = command.spawn()?;
    // SAFETY: called in the parent's only thread.
    let kept = unsafe { retained() };
    *kept =
        Retained { running: true, control: ours.into_raw_fd(), pid: i32::try_from(child.id()).unwrap_or(0), ..*kept };
    Ok(())
}

/// Moves two descriptors to 3 and 4 and lets everything above them end with exec.
fn arrange(control: RawFd, memory: RawFd) -> io::Result<()> {
    // SAFETY: plain system calls on numbers; the descriptors in between are nobody's in the new process.
    unsafe {
        if libc::dup2(control, 3) < 0 || libc::dup2(memory, 4) < 0 {
            return Err(io::Error::last_os_error());
        }
        // An old kernel does not know it; there httpd's own descriptors are close-on-exec anyway.
        #[cfg(target_os = "linux")]
        libc::syscall(libc::SYS_close_range, 5u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
    Ok(())
}

/// What httpd is asked to watch: in the pool of the configuration, which ends the watch too.
struct Watch {
    process: sys::apr_proc_t,
    pool: *mut sys::apr_pool_t,
}

/// Asks httpd to tell when the supervisor ends. Lasts as long as the pool of the configuration.
pub fn watch(pconf: Pool<'_>) {
    let process = sys::apr_proc_t { pid: 0, in_: ptr::null_mut(), out: ptr::null_mut(), err: ptr::null_mut() };
    let watch = pconf.keep(Watch { process, pool: pconf.raw() });
    // SAFETY: the record lives as long as the pool, and nobody else refers to it.
    unsafe { register(watch) };
}

/// Watches the supervisor that runs now, if one does.
///
/// # Safety
/// `watch` is a record of [`watch`] whose pool is alive; called in the parent's only thread.
unsafe fn register(watch: *mut Watch) {
    // SAFETY: the caller's duty.
    let kept = unsafe { retained() };
    if kept.running {
        // SAFETY: the caller's duty; httpd keeps the pointers until the process ends or the pool does.
        unsafe {
            (*watch).process.pid = kept.pid;
            let process = &raw mut (*watch).process;
            sys::apr_proc_other_child_register(process, Some(maintain), watch.cast(), ptr::null_mut(), (*watch).pool);
        }
    }
}

unsafe extern "C" fn maintain(reason: c_int, watch: *mut c_void, status: c_int) {
    guard::enter("supervisor watch", || {
        if !matches!(reason, sys::APR_OC_REASON_DEATH | sys::APR_OC_REASON_LOST) {
            return;
        }
        // SAFETY: registered with this record; the registration of a dead child is of no more use.
        unsafe { sys::apr_proc_other_child_unregister(watch) };
        let pid = forget();
        hooks::supervisor_ended(pid, ExitStatus::from_raw(status));
        // SAFETY: httpd calls only while the pool, and with it the record, is alive.
        unsafe { register(watch.cast()) };
    });
}

/// The supervisor is no more: closes the control socket; gives its pid.
fn forget() -> i32 {
    // SAFETY: called in the parent's only thread.
    let kept = unsafe { retained() };
    if kept.running {
        kept.running = false;
        // SAFETY: open since `start`, and `running` says that nobody has closed it.
        drop(unsafe { OwnedFd::from_raw_fd(kept.control) });
    }
    kept.pid
}

/// Whether the supervisor has ended by now (it is reaped then).
pub fn has_ended() -> bool {
    // SAFETY: called in the parent's only thread.
    let kept = unsafe { retained() };
    if !kept.running {
        return true;
    }
    let ended = Pid::from_raw(kept.pid).is_none_or(|pid| !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)));
    if ended {
        forget();
    }
    ended
}

/// Ends the supervisor at once.
pub fn kill() {
    // SAFETY: called in the parent's only thread.
    let kept = unsafe { retained() };
    if let (true, Some(pid)) = (kept.running, Pid::from_raw(kept.pid)) {
        // It may have ended in this moment; either way it is reaped.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        let _ = waitpid(Some(pid), WaitOptions::empty());
        forget();
    }
}

/// In a child: closes the control socket, so that the supervisor sees when the parent is gone.
pub fn leave_to_parent() {
    forget();
}

/// Where this module was loaded from.
pub fn module_path() -> Option<&'static Path> {
    static PLACE: OnceCell<PathBuf> = OnceCell::new();
    PLACE.get_or_try_init(|| own_path().ok_or(())).ok().map(PathBuf::as_path)
}

fn own_path() -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    static ANCHOR: u8 = 0;
    let mut info = libc::Dl_info {
        dli_fname: ptr::null(),
        dli_fbase: ptr::null_mut(),
        dli_sname: ptr::null(),
        dli_saddr: ptr::null_mut(),
    };
    // SAFETY: any address may be asked about; the name is the loader's and lives while the module is loaded.
    let name = unsafe {
        if libc::dladdr((&raw const ANCHOR).cast(), &raw mut info) == 0 {
            return None;
        }
        super::bytes(info.dli_fname)?
    };
    Path::new(std::ffi::OsStr::from_bytes(name)).canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroed_memory_is_a_process_that_keeps_nothing_yet() {
        // SAFETY: this is what the test is about: numbers, a bool and a pointer.
        let kept: Retained = unsafe { std::mem::zeroed() };
        assert!(!kept.running && !kept.table.is_mapped());
        assert_eq!(kept.generation, 0);
    }
}
