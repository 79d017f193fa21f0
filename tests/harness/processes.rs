//! Processes: whose they are, and how they end.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

/// The user without rights that servers started by root run as.
pub const ORDINARY_USER: &str = "www-data";

/// The variable that tells whose process this is, even in another session.
pub(crate) const MARKER: &str = "WSGI_TEST_ROOT";

/// Whether the tests run as root.
#[must_use]
pub fn is_root() -> bool {
    // SAFETY: geteuid has no precondition and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// A command that runs `program` as `user`, without any of root's rights. Who is not root stays who they are.
#[must_use]
pub fn as_user(user: Option<&str>, program: impl AsRef<OsStr>) -> Command {
    match user {
        Some(user) if is_root() => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups").arg(program);
            command
        }
        _ => Command::new(program),
    }
}

/// Sends a signal; `false` when there is no such process (any more).
pub fn kill(pid: u32, signal: libc::c_int) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: kill takes plain numbers; a wrong pid is an error value.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// Whether a process exists and has not ended yet.
#[must_use]
pub fn alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !matches!(stat.state, b'Z' | b'X'))
}

/// User and group number of a user of this machine.
pub(crate) fn ids(user: &str) -> (u32, u32) {
    let name = CString::new(user).expect("a user name has no NUL");
    // SAFETY: the name is NUL-terminated; no other thread of a test changes the user database.
    let entry = unsafe { libc::getpwnam(name.as_ptr()).as_ref() };
    entry.map(|entry| (entry.pw_uid, entry.pw_gid)).unwrap_or_else(|| panic!("there is no user {user}"))
}

/// Every living process that the server with this root started: those of its session, if it leads one, those that
/// inherited the marker in their environment and those that have the root in their command line.
pub(crate) fn of_server(leader: Option<u32>, root: &Path) -> Vec<u32> {
    let root = root.as_os_str().as_bytes();
    let marker = [MARKER.as_bytes(), b"=", root].concat();
    let ours = |pid: &u32| {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        stat(*pid).is_some_and(|stat| Some(stat.session) == leader)
            || read("environ").split(|byte| *byte == 0).any(|variable| variable == marker)
            || contains(&read("cmdline"), root)
    };
    let pids =
        fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id() && alive(*pid)).filter(ours).collect()
}

/// The command line of a process, its words joined by spaces; empty when it has ended.
pub(crate) fn command_line(pid: u32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ").trim_end().to_owned()
}

/// The process that started this one; `None` when it has ended.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    stat(pid).map(|stat| stat.parent)
}

/// The processes that one of these has started, that have ended, and that nobody has waited for.
pub(crate) fn zombies_of(parents: &[u32]) -> Vec<u32> {
    let pids = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|stat| stat.state == b'Z' && parents.contains(&stat.parent))).collect()
}

/// Whether a process catches this signal, or keeps it for later.
pub(crate) fn heeds(pid: u32, signal: libc::c_int) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = |name| status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix(name)?.trim(), 16).ok());
    let heeded = mask("SigCgt:").unwrap_or_default() | mask("SigBlk:").unwrap_or_default();
    heeded & (1 << (signal - 1)) != 0
}

/// What `/proc/PID/stat` says of a process, as far as tests ask.
struct Stat {
    state: u8,
    parent: u32,
    session: u32,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Stat { state, parent, session })
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
