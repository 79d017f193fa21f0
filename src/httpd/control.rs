//! What the Apache parent keeps across restarts, during which the module is unloaded: the process table and the
//! supervisor.

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
use wsgi_wire::descriptors::supervisor as descriptors;
use wsgi_wire::table::{GROUPS, Group};

use super::pool::Pool;
use super::shared::SharedTable;
use super::shared::pages::Pages;
use super::shared::scoreboard::SharedScoreboard;
use super::{guard, server, sys};

/// What is shared with the supervisor.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Memory {
    /// The process table.
    pub table: SharedTable,
    /// The scoreboard for `server_metrics()`; it is not mapped where the system cannot keep its readers from writing.
    pub scoreboard: SharedScoreboard,
}

/// What the parent keeps across restarts. All zero in a new process.
#[derive(Clone, Copy)]
#[repr(C)]
struct Retained {
    memory: Memory,
    /// Whether a supervisor runs; only then `control` and `pid` mean something.
    running: bool,
    control: RawFd,
    pid: i32,
    /// The number of configurations so far.
    generation: u32,
    /// The pages of the groups of the last configuration, in any order.
    pages: [Pages; GROUPS],
}

/// # Safety
/// Called in the parent's only thread, or in a child before it has any other; one result is alive at a time.
unsafe fn retained<'a>() -> &'a mut Retained {
    // SAFETY: httpd keeps the memory for good, zeroed at first, which is a valid `Retained` (tested below).
    unsafe { &mut *server::retained::<Retained>(c"mod_wsgi") }
}

/// What is shared with the supervisor, made the first time it is asked for. Called from `post_config`.
///
/// # Errors
/// Those of [`SharedTable::create`].
pub fn memory() -> io::Result<Memory> {
    // SAFETY: `post_config` runs in the parent's only thread.
    let kept = unsafe { retained() };
    if !kept.memory.table.is_mapped() {
        kept.memory.table = SharedTable::create()?;
        if let Ok(scoreboard) = SharedScoreboard::create(server::limits()) {
            kept.memory.scoreboard = scoreboard;
        }
    }
    Ok(kept.memory)
}

/// The pages of each of these groups, the only ones of the configuration that is to be put into force: those that it
/// has already, or new ones. Those of groups that are no more are given back. Called from `post_config`, while no
/// configuration is in force.
///
/// # Errors
/// Those of [`Pages::create`].
pub fn pages(groups: &[&Group]) -> io::Result<Vec<Pages>> {
    // SAFETY: `post_config` runs in the parent's only thread.
    let kept = unsafe { retained() };
    let is_wanted = |pages: &Pages| groups.iter().any(|group| group.key() == pages.group);
    for pages in kept.pages.iter_mut().filter(|pages| pages.is_mapped() && !is_wanted(pages)) {
        // SAFETY: no configuration is in force.
        unsafe { pages.release() };
    }
    let of = |group: &&Group| {
        if let Some(known) = kept.pages.iter().find(|pages| pages.is_mapped() && pages.group == group.key()) {
            return Ok(*known);
        }
        let vacant = kept.pages.iter_mut().find(|pages| !pages.is_mapped()).ok_or(io::ErrorKind::OutOfMemory)?;
        *vacant = Pages::create(group.key())?;
        Ok(*vacant)
    };
    groups.iter().map(of).collect()
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

/// Starts the supervisor with its control socket, the table and, if there is one, the scoreboard as [`descriptors`]
/// says, and `log` as standard error.
///
/// # Errors
/// Those of `socketpair`, `fork` and `exec`.
pub fn start(program: &Path, memory: Memory, log: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    // Above the numbers that they are moved to, so that neither overwrites the other.
    let theirs = rustix::io::fcntl_dupfd_cloexec(&theirs, 10)?;
    let table = rustix::io::fcntl_dupfd_cloexec(memory.table.fd(), 10)?;
    let scoreboard = memory
        .scoreboard
        .is_mapped()
        .then(|| rustix::io::fcntl_dupfd_cloexec(memory.scoreboard.fd(), 10))
        .transpose()?;
    let log_file = || log.map(|fd| fd.try_clone_to_owned()).transpose();
    let mut command = Command::new(program);
    // A process group of its own: Ctrl-C at a terminal is for Apache, which tells its supervisor in order.
    command.stdin(Stdio::null()).process_group(0);
    if let (Some(out), Some(err)) = (log_file()?, log_file()?) {
        command.stdout(out).stderr(err);
    }
    let inherited = [
        (descriptors::CONTROL, Some(theirs.as_raw_fd())),
        (descriptors::TABLE, Some(table.as_raw_fd())),
        (descriptors::SCOREBOARD, scoreboard.as_ref().map(AsRawFd::as_raw_fd)),
    ];
    // SAFETY: between fork and exec only system calls are made, nothing is allocated.
    unsafe { command.pre_exec(move || arrange(inherited)) };
    let child = command.spawn()?;
    // SAFETY: called in the parent's only thread.
    let kept = unsafe { retained() };
    *kept =
        Retained { running: true, control: ours.into_raw_fd(), pid: i32::try_from(child.id()).unwrap_or(0), ..*kept };
    Ok(())
}

/// Moves descriptors to their numbers, and lets everything else above 2 end with exec.
fn arrange(inherited: [(RawFd, Option<RawFd>); 3]) -> io::Result<()> {
    leave_terminal()?;
    // An old kernel does not know it; there httpd's own descriptors are close-on-exec anyway.
    #[cfg(target_os = "linux")]
    // SAFETY: changes flags of descriptors only.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
    for (number, fd) in inherited {
        let Some(fd) = fd else { continue };
        // SAFETY: plain system calls on numbers; the descriptors in between are nobody's in the new process.
        if unsafe { libc::dup2(fd, number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives up the terminal that Apache was started from, for the supervisor and for daemon processes, which inherit that:
/// an application could read what is typed into root's shell there, and type itself (TIOCSTI). Only who leads a session
/// could get it back.
fn leave_terminal() -> io::Result<()> {
    // SAFETY: opens a file under a name that ends in NUL.
    let terminal = unsafe { libc::open(c"/dev/tty".as_ptr(), libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    // Mostly there is none.
    if terminal < 0 {
        return Ok(());
    }
    // SAFETY: concerns the terminal of this process alone, which leads no session.
    if unsafe { libc::ioctl(terminal, libc::TIOCNOTTY) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is this function's own.
    unsafe { libc::close(terminal) };
    Ok(())
}

/// What httpd is asked to watch: in the pool of the configuration, which ends the watch too.
struct Watch {
    process: sys::apr_proc_t,
    pool: *mut sys::apr_pool_t,
    ended: Ended,
}

/// What is called, with its pid and status, when the supervisor has ended although nobody asked it to.
type Ended = fn(i32, ExitStatus);

/// Has httpd call `ended` when the supervisor ends, and again for the one that `ended` starts. Lasts as long as the
/// pool of the configuration.
pub fn watch(pconf: Pool<'_>, ended: Ended) {
    let process = sys::apr_proc_t { pid: 0, in_: ptr::null_mut(), out: ptr::null_mut(), err: ptr::null_mut() };
    let watch = pconf.keep(Watch { process, pool: pconf.raw(), ended });
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
        // SAFETY: the caller's duty.
        let Watch { process, pool, .. } = unsafe { &mut *watch };
        process.pid = kept.pid;
        // SAFETY: httpd keeps the pointers until the process ends or the pool does.
        unsafe { sys::apr_proc_other_child_register(process, Some(maintain), watch.cast(), ptr::null_mut(), *pool) };
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
        // SAFETY: httpd calls only while the pool, and with it the record, is alive.
        let ended = unsafe { (*watch.cast::<Watch>()).ended };
        ended(pid, ExitStatus::from_raw(status));
        // SAFETY: as above.
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
    static ANCHOR: u8 = 0;
    wsgi_unix::file_of(&ANCHOR)?.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroed_memory_is_a_process_that_keeps_nothing_yet() {
        // SAFETY: this is what the test is about: numbers, a bool and a pointer.
        let kept: Retained = unsafe { std::mem::zeroed() };
        assert!(!kept.running && !kept.memory.table.is_mapped() && !kept.memory.scoreboard.is_mapped());
        assert!(kept.pages.iter().all(|pages| !pages.is_mapped()));
        assert_eq!(kept.generation, 0);
    }
}
