//! The steps of a new process between fork and exec. Everything is prepared before; here are only system calls.

use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use wsgi_unix::signals::SignalSet;
use wsgi_unix::user::Ids;

use super::descriptors::close_on_exec_from;

/// The prepared steps, in the order in which they are carried out (`directives.md` §4.4).
#[derive(Debug)]
pub struct Steps {
    /// The scheduling priority. Failure is not fatal: the caller compares afterwards.
    pub nice: Option<i32>,
    /// The resource limits: which, soft, hard.
    pub limits: Vec<(libc::c_int, u64, u64)>,
    /// The root directory of the process.
    pub chroot: Option<CString>,
    /// The group, all groups, and the user.
    pub identity: Option<Ids>,
    /// The working directory of the process.
    pub directory: Option<CString>,
    /// The file mode creation mask.
    pub umask: libc::mode_t,
    /// Whether programs that the process runs may have other rights than itself.
    pub new_privileges: bool,
    /// The descriptors that the process gets, by the numbers that they get, which follow each other. Their own numbers
    /// must be higher.
    pub descriptors: Vec<(RawFd, OwnedFd)>,
}

/// The step at which a process failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The interpreter is executed.
    Exec,
    /// The descriptors are put in their places.
    Descriptors,
    /// A resource limit is set.
    Limit,
    /// The root directory is changed (`chroot`).
    Chroot,
    /// The process becomes the user.
    Identity,
    /// The process enters the working directory.
    Directory,
    /// The process gives up rights for good.
    Privileges,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Exec => "run the interpreter",
            Step::Descriptors => "place its descriptors",
            Step::Limit => "set its resource limits",
            Step::Chroot => "change its root directory",
            Step::Identity => "take its user and groups",
            Step::Directory => "enter its working directory",
            Step::Privileges => "give up the rights that it does not need",
        })
    }
}

impl Step {
    /// Packs the step and the error into one number: std carries only one from the child to the parent, so the step
    /// travels above the bits of `errno`.
    fn error(self) -> io::Error {
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL);
        io::Error::from_raw_os_error((self as i32) << 16 | errno)
    }

    /// Unpacks what `Command::spawn` returned. std's own failures, those of exec among them, have no step in them.
    pub fn of(error: io::Error) -> (Step, io::Error) {
        use Step::{Chroot, Descriptors, Directory, Exec, Identity, Limit, Privileges};
        const ALL: [Step; 7] = [Exec, Descriptors, Limit, Chroot, Identity, Directory, Privileges];
        let Some(number) = error.raw_os_error() else { return (Step::Exec, error) };
        let step = usize::try_from(number >> 16).ok().and_then(|n| ALL.get(n)).copied().unwrap_or(Step::Exec);
        (step, io::Error::from_raw_os_error(number & 0xffff))
    }
}

/// Makes the new process carry out the steps.
pub fn prepare(command: &mut Command, steps: Steps) {
    // SAFETY: `carry_out` neither allocates nor takes a lock, and this process has one thread.
    unsafe { command.pre_exec(move || carry_out(&steps)) };
}

fn carry_out(steps: &Steps) -> io::Result<()> {
    reset_signals();
    if let Some(nice) = steps.nice {
        // SAFETY: changes a number of this process.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    }
    for (resource, soft, hard) in &steps.limits {
        let limit = libc::rlimit { rlim_cur: *soft as libc::rlim_t, rlim_max: *hard as libc::rlim_t };
        // SAFETY: the pointer is to a live local variable.
        check(unsafe { libc::setrlimit(*resource as _, &limit) }, Step::Limit)?;
    }
    if let Some(root) = &steps.chroot {
        // SAFETY: the path is a live string that ends in NUL.
        check(unsafe { libc::chroot(root.as_ptr()) }, Step::Chroot)?;
        change_directory(c"/", Step::Chroot)?;
    }
    if !steps.new_privileges {
        forbid_new_privileges()?;
    }
    if let Some(ids) = &steps.identity {
        become_user(ids)?;
    }
    give_up_capabilities()?;
    if let Some(path) = &steps.directory {
        change_directory(path, Step::Directory)?;
    }
    // SAFETY: changes a number of this process.
    unsafe { libc::umask(steps.umask) };
    for (number, fd) in &steps.descriptors {
        // SAFETY: the source is open and above all targets; the targets' old meanings end with exec anyway.
        check(unsafe { libc::dup2(fd.as_raw_fd(), *number) }, Step::Descriptors)?;
    }
    // What follows the last of them has no meaning in this process.
    close_on_exec_from(steps.descriptors.last().map_or(3, |(number, _)| number + 1));
    Ok(())
}

/// Makes sure that no program that is run from here on has other rights than this process: set-user-id and capabilities
/// of files count no more, and the bounding set, from which such a program could take some, is empty.
fn forbid_new_privileges() -> io::Result<()> {
    // SAFETY: changes a flag of this process.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, Step::Privileges)?;
    for capability in 0..64 {
        // SAFETY: takes numbers only. Who may not do it, and the system that does not know the number, leave it as it
        // is; the flag above holds.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    Ok(())
}

/// Gives up what is left of capabilities: an Apache that is not root's may have been given some.
fn give_up_capabilities() -> io::Result<()> {
    /// The value of `_LINUX_CAPABILITY_VERSION_3`: two words for each set.
    const VERSION: u32 = 0x2008_0522;
    let (header, none) = ([VERSION, 0], [0u32; 6]);
    // SAFETY: both pointers are to as many words as the version says; 0 is this process. The ambient set, unknown
    // before Linux 4.3, loses what the others do not have.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } as libc::c_int, Step::Privileges)
}

/// Becomes the user. The group comes first: afterwards this process may no longer change it.
fn become_user(ids: &Ids) -> io::Result<()> {
    // SAFETY: changes numbers of this process; the pointer and length are those of a live vector.
    check(unsafe { libc::setgid(ids.gid) }, Step::Identity)?;
    // SAFETY: as above.
    check(unsafe { libc::setgroups(ids.groups.len() as _, ids.groups.as_ptr()) }, Step::Identity)?;
    // SAFETY: as above.
    check(unsafe { libc::setuid(ids.uid) }, Step::Identity)
}

/// Resets signals: Apache ignores some, and that would outlive exec. All are blocked until the engine has its handlers:
/// a process that is told to end while it starts should do so in order.
fn reset_signals() {
    for number in 1..32 {
        // SAFETY: sets the default action; the numbers for which that is refused (KILL, STOP) have no other anyway.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    SignalSet::all().block();
}

fn change_directory(path: &CStr, step: Step) -> io::Result<()> {
    // SAFETY: the path is a live string that ends in NUL.
    check(unsafe { libc::chdir(path.as_ptr()) }, step)
}

fn check(result: libc::c_int, step: Step) -> io::Result<()> {
    if result < 0 { Err(step.error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_of_a_failure_comes_back_with_its_reason() {
        let (step, error) = Step::of(io::Error::from_raw_os_error((Step::Directory as i32) << 16 | libc::ENOENT));
        assert_eq!((step, error.raw_os_error()), (Step::Directory, Some(libc::ENOENT)));
        let (step, error) = Step::of(io::Error::from_raw_os_error(libc::EACCES));
        assert_eq!((step, error.raw_os_error()), (Step::Exec, Some(libc::EACCES)));
    }
}
