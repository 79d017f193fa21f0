//! The user that a daemon runs as, prepared so that nothing has to be looked up between fork and exec; and the rights
//! of this program itself.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use wsgi_unix::user::Ids;
use wsgi_wire::control::{Identity, Resource, Spawn};

/// The capabilities that root's supervisor needs: to start processes as other users, to signal them, and to give them
/// their sockets.
const NEEDED: [CapabilitySet; 10] = [
    CapabilitySet::SETUID,
    CapabilitySet::SETGID,
    CapabilitySet::KILL,
    CapabilitySet::CHOWN,
    // Sockets in directories of other users, scripts and interpreters that only they can read.
    CapabilitySet::DAC_OVERRIDE,
    CapabilitySet::FOWNER,
    // chroot, cpu-priority, memory-limit and the like.
    CapabilitySet::SYS_CHROOT,
    CapabilitySet::SYS_NICE,
    CapabilitySet::SYS_RESOURCE,
    // New processes empty their bounding sets.
    CapabilitySet::SETPCAP,
];

/// The capabilities that are in force all the time: a process can end at any moment, and its successor may have to be
/// told.
const ALWAYS: CapabilitySet = CapabilitySet::KILL;

/// Gives up what is not needed, and puts out of force what is not needed all the time.
///
/// # Errors
/// Those of `capset`.
pub fn reduce() -> io::Result<()> {
    let held = capabilities(None)?;
    let needed = NEEDED.into_iter().fold(CapabilitySet::empty(), CapabilitySet::union);
    let permitted = held.permitted & needed;
    put_into_force(permitted & ALWAYS, permitted)
}

/// Runs `act` with all the rights that this process has kept.
pub fn with_all<R>(act: impl FnOnce() -> R) -> R {
    let Ok(held) = capabilities(None) else { return act() };
    // What is permitted can be put into force. If it could not, the act would say what it lacks.
    let _ = put_into_force(held.permitted, held.permitted);
    let result = act();
    let _ = put_into_force(held.effective, held.permitted);
    result
}

fn put_into_force(effective: CapabilitySet, permitted: CapabilitySet) -> io::Result<()> {
    Ok(set_capabilities(None, CapabilitySets { effective, permitted, inheritable: CapabilitySet::empty() })?)
}

/// Returns the ids of the user and all groups. `supplementary-groups` replaces the groups of the user.
pub fn ids(identity: &Identity) -> io::Result<Ids> {
    Ids::of(identity.uid, identity.gid, &identity.name, identity.groups.as_deref())
}

/// The variables that a process gets of Apache's own environment whatever its group says: where programs are, the
/// language, the time zone.
const PASSED: [&str; 3] = ["PATH", "LANG", "TZ"];

/// The variables that are about Apache as a service of systemd, and that no process gets.
const NEVER: [&str; 8] = [
    "MOD_WSGI_NOTIFY_SOCKET",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "CREDENTIALS_DIRECTORY",
];

/// Makes the environment of a process of this group, without its `env-file`s: little of Apache's own, which may have
/// root's secrets in it; the user's own variables; and those of the configuration, which win.
pub fn environment(spawn: &Spawn) -> Vec<(OsString, OsString)> {
    let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let is_asked_for =
        |name: &OsString| spawn.pass_env.iter().any(|asked| asked[..] == *b"*" || asked[..] == *name.as_bytes());
    // Where Apache is not root's, processes have its own user.
    let is_own =
        |name: &OsString| spawn.identity.is_none() && ["HOME", "USER", "LOGNAME"].iter().any(|own| name == own);
    let is_passed = |name: &OsString| PASSED.iter().any(|passed| name == passed) || is_own(name) || is_asked_for(name);
    let may_be_passed = |name: &OsString| !NEVER.iter().any(|never| name == never);
    let mut variables: Vec<_> = env::vars_os().filter(|(name, _)| is_passed(name) && may_be_passed(name)).collect();
    if let Some(identity) = &spawn.identity {
        if let Some(home) = &identity.home {
            variables.push(("HOME".into(), text(home)));
        }
        let present = ["USER", "LOGNAME", "USERNAME"].into_iter().filter(|name| env::var_os(name).is_some());
        if !identity.name.is_empty() {
            variables.extend(present.map(|name| (name.into(), text(&identity.name))));
        }
    }
    variables.extend(spawn.env.iter().map(|(name, value)| (text(name), text(value))));
    variables
}

/// Returns the resource limits with the system's own numbers.
pub fn limits(spawn: &Spawn) -> Vec<(libc::c_int, u64, u64)> {
    let number = |resource| match resource {
        Resource::Cpu => libc::RLIMIT_CPU,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::AddressSpace => libc::RLIMIT_AS,
    };
    spawn.limits.iter().map(|limit| (number(limit.resource) as libc::c_int, limit.soft, limit.hard)).collect()
}
